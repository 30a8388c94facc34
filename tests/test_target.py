"""Every target file can be used, and a name or a file that cannot is an error that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit import target
from edgekit.errors import InputError, UnknownNameError, UnsupportedError
from edgekit.options import FORMATS, PRECISIONS


@pytest.mark.parametrize("one", target.all_targets(), ids=lambda one: one.name)
def test_every_target_is_found_by_its_name(one: target.Target) -> None:
    assert target.resolve(one.name) == (one,)
    assert one.summary
    assert one.sources
    assert list(one.to_json()) == ["name", "kind", "format", "precisions"]


def test_the_checkout_has_targets() -> None:
    assert {"host", "arm64"} <= {one.name for one in target.all_targets()}


@pytest.mark.parametrize("name", target.FORMAT_NAMES)
def test_a_format_is_a_target_that_allows_what_the_format_has(name: str) -> None:
    for one in target.resolve(name):
        assert one.kind == "format"
        assert one.precisions == target.FORMAT_PRECISIONS[one.format]
        assert one.precision(None) == "fp32"


def test_all_is_every_format_and_litert_is_tflite() -> None:
    assert tuple(one.format for one in target.resolve("all")) == FORMATS
    assert target.resolve("litert") == target.resolve("tflite")


def test_the_first_precision_is_the_preferred_one() -> None:
    (host,) = target.resolve("host")
    assert host.precision(None) == host.precisions[0]
    assert all(host.precision(asked) == asked for asked in host.precisions)


def test_a_precision_that_a_format_lacks_is_refused() -> None:
    refused = [
        (one.name, precision)
        for one in target.resolve("all")
        for precision in PRECISIONS
        if precision not in one.precisions
    ]
    assert refused == [("onnx", "int16"), ("openvino", "dynamic"), ("openvino", "int16")]
    with pytest.raises(UnsupportedError, match="openvino does not take dynamic, it takes fp32, fp16, int8"):
        target.resolve("openvino")[0].precision("dynamic")


@pytest.mark.parametrize(("name", "near"), [("hots", "host"), ("tflit", "tflite"), ("openvin", "openvino")])
def test_an_unknown_name_offers_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown target '{name}'") as caught:
        target.resolve(name)
    assert near in caught.value.hint


VALID = 'name = "mine"\nkind = "cpu"\nformat = "onnx"\nprecisions = ["int8", "fp32"]\n'


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(VALID)
    (mine,) = target.resolve(str(tmp_path / "mine.toml"))
    assert (mine.name, mine.format, mine.precision(None)) == ("mine", "onnx", "int8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"mine"', '"other"', "expected 'mine'"),
        ('"onnx"', '"coreml"', "format"),
        ('["int8", "fp32"]', "[]", "expected some of"),
        ('["int8", "fp32"]', '["int4"]', "precisions"),
        ("precisions =", "precision =", "precision"),
        ("kind =", "", "cannot be used"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(VALID.replace(old, new))
    with pytest.raises(InputError, match=message):
        target.resolve(str(path))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        target.resolve(str(tmp_path / "mine.toml"))
