"""Predicted file sizes against files: never less, and little more."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.models import zoo
from edgekit.options import Format, Precision
from edgekit.search.file_size import file_bytes
from edgekit.trial import make_trial

pytest.importorskip("torch", reason="networks are built with torch")

NETWORKS = {
    "mobilenet_v2": zoo.network("mobilenet_v2", width=0.35, resolution=64),
    "efficientnet_b0": zoo.network("efficientnet_b0", width=0.5, depth=1.3, resolution=64),
    "squeezenet1_1": zoo.network("squeezenet1_1", resolution=64),
}
CASES: list[tuple[Format, Precision, float]] = [
    ("tflite", "fp32", 0.005),
    ("tflite", "fp16", 0.005),
    ("tflite", "int8", 0.03),
    ("tflite", "dynamic", 0.05),
    ("tflite", "weight-only", 0.05),
    ("tflite", "int16", 0.05),
    ("onnx", "fp32", 0.005),
    ("onnx", "int8", 0.03),
]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("format_", "precision", "slack"), CASES)
def test_a_file_is_as_large_as_predicted(
    name: str, format_: Format, precision: Precision, slack: float, tmp_path: Path
) -> None:
    network = NETWORKS[name]
    actual = make_trial(network, format_, precision, tmp_path).stat().st_size
    assert actual <= file_bytes(network, format_, precision) <= (1 + slack) * actual
