"""The picture of the front: what is in it, and what happens without the drawing library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekit.errors import InputError, MissingExtraError
from edgekit.report.front import FrontPoint, draw

POINTS = [
    FrontPoint("mobilenet_v2", "width 1", 300e6, 71.8, is_front=True),
    FrontPoint("mobilenet_v2", "width 0.5", 97e6, 65.4, is_front=True),
    FrontPoint("mobilenet_v1", "width 0.5", 150e6, 63.3, is_front=False),
]


def drawn(path: Path) -> bytes:
    draw(path, POINTS, cost_title="multiply-adds", budget=320e6, title="320MFLOPs")
    return path.read_bytes()


def test_it_shows_families_axes_and_title(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="drawing needs the extra 'report'")
    text = drawn(tmp_path / "front.svg").decode()
    for word in ("mobilenet_v1", "mobilenet_v2", "multiply-adds", "predicted top-1", "320MFLOPs"):
        assert word in text


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("html", b"<!DOCTYPE html>")])
def test_other_formats(suffix: str, start: bytes, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="drawing needs the extra 'report'")
    assert drawn(tmp_path / f"front.{suffix}").lstrip().startswith(start)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of \.svg, \.png, \.html"):
        drawn(tmp_path / "front.gif")


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingExtraError, match="needs the package vl-convert-python") as caught:
        drawn(tmp_path / "front.svg")
    assert "edgekit[report]" in caught.value.hint
    assert not list(tmp_path.iterdir())
