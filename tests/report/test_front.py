"""The picture of the front: what is in it, and what happens without the drawing library."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import InputError, MissingExtraError
from edgekit.report import drawing
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


def test_what_is_far_below_the_budget_or_covered_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs: list[Mapping[str, Any]] = []
    monkeypatch.setattr(drawing, "draw", lambda path, spec: specs.append(spec))
    far = FrontPoint("mobilenet_v1", "width 0.1", 9e6, 20.0, is_front=False)
    covered = FrontPoint("mobilenet_v1", "width 0.501", 150.1e6, 63.31, is_front=False)
    draw(tmp_path / "x.svg", [*POINTS, far, covered], cost_title="", budget=320e6, title="")
    draw(tmp_path / "x.svg", [far], cost_title="", budget=320e6, title="")
    shown = [[point["cost"] for point in spec["datasets"]["points"]] for spec in specs]
    assert shown == [[300e6, 97e6, 150.1e6], [9e6]]


def test_a_picture_is_small(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="drawing needs the extra 'report'")
    points = [
        FrontPoint("mobilenet_v2", "width 1", 3e8 + 1e6 * i, 70 + i / 7, i % 2 == 0) for i in range(200)
    ]
    draw(tmp_path / "x.svg", points, cost_title="multiply-adds", budget=6e8, title="")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert 200 < text.count("<path") < 230
    assert len(text) < 200 * 200 + 20_000


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
