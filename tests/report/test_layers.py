"""The picture of the layers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgekit.errors import InputError
from edgekit.report.layers import LayerPoint, draw

POINTS = [
    LayerPoint("stem.conv", 48.0, 49.0, 53.0),
    LayerPoint("blocks.0.add", 30.0, None, 37.0),
    LayerPoint("logits", math.inf, 42.0, None),
]


def test_it_names_layers_and_errors(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="drawing needs the extra 'report'")
    draw(tmp_path / "layers.svg", POINTS, title="int8 against fp32")
    text = (tmp_path / "layers.svg").read_text(encoding="utf-8")
    for word in ("stem.conv", "blocks.0.add", "logits", "weights alone", "int8 against fp32", "dB"):
        assert word in text
    assert "Infinity" not in text


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of \.svg, \.png, \.html"):
        draw(tmp_path / "layers.gif", POINTS, title="")
