"""What ``--calibration`` opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.building import build_graph
from edgekit.calibration_source import open_calibration
from edgekit.errors import InputError
from edgekit.options import ExportOptions, ScaleChange
from small_models import save_onnx

OPTIONS = ExportOptions(
    calibration="distilled", samples=18, scale=ScaleChange(width=0.25, depth=0.3, resolution=32)
)


def test_the_first_images_are_distilled_the_rest_generated() -> None:
    built = build_graph("mobilenet_v2", OPTIONS)
    distilled = open_calibration(built, OPTIONS)
    generated = open_calibration(built, replace(OPTIONS, calibration=None))
    assert len(distilled) == len(generated) == 18
    assert "16 of them distilled" in distilled.description
    pairs = list(zip(distilled.pixels(), generated.pixels(), strict=True))
    assert [bool(np.array_equal(one, other)) for one, other in pairs] == [False] * 16 + [True] * 2
    assert distilled.is_synthetic


def test_a_graph_has_nothing_to_distil_from(tmp_path: Path) -> None:
    built = build_graph(str(save_onnx(tmp_path / "plain.onnx")), replace(OPTIONS, scale=ScaleChange()))
    with pytest.raises(InputError, match="folded away"):
        open_calibration(built, OPTIONS)
