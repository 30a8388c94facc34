"""What targets refuse: one sentence for each limit, with the figures that it is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edgekit import limits, target
from edgekit.deployment import deploy
from edgekit.errors import ModelFileError, UnsupportedError
from edgekit.limits import Facts, check, facts_of, operators_of, refusals
from edgekit.options import Precision
from edgekit.runtimes.tflite_file import read
from edgekit.target import Target
from family_files import network_file
from small_models import save_onnx

BOARD = Target(
    name="board",
    kind="mcu",
    format="tflite",
    precisions=("int8",),
    runtime="tflite-micro",
    runtime_version="2.3.0",
    flash_bytes=1000,
    ram_bytes=500,
)
FITS = Facts(
    name="net.tflite",
    format="tflite",
    size_bytes=1000,
    operators={"CONV_2D": 3},
    precision="int8",
    activation_bytes=400,
    arena_bytes=500,
    peak_operator="CONV_2D stem",
    runtime_version="2.3.0",
)


def told(one: Target, facts: Facts) -> list[str]:
    return [sentence for limit in limits.LIMITS if (sentence := limit(one, facts))]


def test_a_file_at_every_limit_fits() -> None:
    assert told(BOARD, FITS) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "onnx"}, "net.tflite is a file for onnx, and target board runs tflite"),
        ({"precision": "fp16"}, "net.tflite is fp16, and target board takes int8"),
        ({"operators": {"LSTM": 1}}, "net.tflite has operators that target board does not: LSTM"),
        ({"runtime_version": "2.10.0"}, "net.tflite needs tflite-micro 2.10.0, and target board has 2.3.0"),
        (
            {"size_bytes": 1234567},
            "net.tflite has 1,234,567 bytes, and the flash of target board 1,000: 1,233,567 too many",
        ),
        (
            {"arena_bytes": 501},
            "net.tflite needs 501 bytes of RAM, and target board has 500: 1 too many, "
            "most of them at CONV_2D stem",
        ),
    ],
)
def test_a_broken_limit_is_one_sentence(change: dict[str, object], sentence: str) -> None:
    assert told(BOARD, replace(FITS, **change)) == [sentence]  # type: ignore[arg-type]


def test_operators_that_the_gpu_does_wrongly_are_named() -> None:
    (gpu,) = target.resolve("gpu")
    averages = read(network_file("inception_v3", side=80, precision="fp32"))
    wrong = [one for one in averages.operators if one.code == "AVERAGE_POOL_2D"]
    (sentence,) = told(gpu, facts_of(averages.path))
    assert sentence.endswith(f"leaves out the padding that it should count, and {len(wrong) - 1} more")
    assert told(gpu, replace(FITS, precision="fp32", wrong_on_gpu=())) == []
    assert told(BOARD, replace(FITS, wrong_on_gpu=("FULLY_CONNECTED x does not flatten",))) == []
    assert facts_of(network_file("lenet5", 1.0, precision="fp32")).wrong_on_gpu == ()


def test_without_flash_the_weights_are_in_ram_too() -> None:
    computer = msgspec.structs.replace(BOARD, flash_bytes=None, ram_bytes=1400)
    assert told(computer, FITS) == []
    (sentence,) = told(computer, replace(FITS, size_bytes=1001))
    assert "needs 1,401 bytes of RAM" in sentence


def test_what_is_not_known_or_not_limited_is_not_refused() -> None:
    unknown = Facts("net.onnx", "onnx", 10**12, {"Anything": 1})
    assert told(target.resolve("onnx")[0], unknown) == []
    assert operators_of(target.resolve("host")[0]) is None


@pytest.mark.parametrize("limit", limits.LIMITS)
def test_every_limit_is_documented_in_one_sentence(limit: limits.Limit) -> None:
    text = limit.__doc__ or ""
    assert text.endswith(".")
    assert "\n" not in text


def test_the_runtimes_for_microcontrollers_have_a_list_of_operators() -> None:
    micro = [one for one in target.all_targets() if one.runs_on == "tflite-micro"]
    assert {one.kind for one in micro} == {"mcu", "npu"}
    assert all("CONV_2D" in (operators_of(one) or ()) for one in micro)
    assert operators_of(msgspec.structs.replace(BOARD, operators=("ADD",))) == frozenset({"ADD"})


def test_a_network_is_refused_by_what_it_is_over_unless_forced() -> None:
    path = network_file("mobilenet_v2", 1.0, 96)
    (board,) = target.resolve("cortex-m4-256kb")
    with pytest.raises(
        UnsupportedError, match=r"bytes of RAM, and target cortex-m4-256kb has 262,144"
    ) as caught:
        check(board, path)
    assert "--force" in caught.value.hint
    assert check(board, path, force=True) == refusals(board, path) != ()
    assert refusals(target.resolve("rpi4")[0], path) == ()
    assert refusals(target.resolve("tflite")[0], path) == ()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "dynamic"])
def test_a_files_precision_is_read_from_its_weights(precision: Precision) -> None:
    path = network_file("mobilenet_v1", precision=precision)
    assert facts_of(path).precision == precision
    assert facts_of(path).size_bytes == path.stat().st_size
    assert facts_of(path).runtime_version == read(path).min_runtime_version


def test_the_other_formats_tell_their_operators(tmp_path: Path) -> None:
    onnx = facts_of(save_onnx(tmp_path / "net.onnx"))
    assert (onnx.format, onnx.precision, "Conv" in onnx.operators) == ("onnx", None, True)
    xml = network_file("mobilenet_v1", precision="fp32", format_="openvino")
    openvino = facts_of(xml)
    assert "GroupConvolution" in openvino.operators
    assert openvino.size_bytes == xml.stat().st_size + xml.with_suffix(".bin").stat().st_size


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".xml"])
def test_a_damaged_file_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(200)))
    with pytest.raises(ModelFileError, match="damaged"):
        facts_of(path)


def test_a_file_of_no_format_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"has the suffix '\.pb'"):
        facts_of(tmp_path / "net.pb")


def test_deploying_to_a_microcontroller_writes_source_and_to_a_board_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(network_file("mobilenet_v1").read_bytes())
    found = deploy(target.resolve("cortex-m7-2mb")[0], path)
    assert [one.name for one in found.sources] == ["net_int8.h", "net_int8.cc"]
    assert all(one.is_file() for one in found.sources)
    assert deploy(target.resolve("rpi5")[0], path).sources == ()
    assert deploy(target.resolve("tflite")[0], path).warnings == ()
