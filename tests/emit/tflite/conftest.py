"""Emitting a small graph, running the file with LiteRT and the graph with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from edgekit.emit import EmitOptions, Emitted, emit
from edgekit.graph.run import GraphRunner
from edgekit.runtimes.tflite import DelegationReport, delegated, load

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """What LiteRT and onnxruntime answered, in real numbers, NCHW."""

    got: FloatArray
    want: FloatArray
    emitted: Emitted
    delegation: DelegationReport

    @property
    def error(self) -> FloatArray:
        """Absolute differences."""
        return np.asarray(np.abs(self.got - self.want))

    @property
    def relative_error(self) -> float:
        """Largest difference, in units of the largest answer."""
        return float(self.error.max() / np.abs(self.want).max())

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """Absolute differences in steps of the output's scale."""
        assert self.emitted.output.scale is not None
        return np.asarray(np.round(self.error / self.emitted.output.scale), np.int64)


def _encode(image: FloatArray, emitted: Emitted) -> npt.NDArray[np.generic]:
    spec = emitted.input
    stored: FloatArray = image.transpose(0, 2, 3, 1) if spec.layout == "NHWC" else image
    if spec.scale is None or spec.zero_point is None:
        return stored
    limits = np.iinfo(spec.dtype)
    steps = np.round(stored / np.float32(spec.scale)) + spec.zero_point
    encoded: npt.NDArray[np.generic] = np.clip(steps, limits.min, limits.max).astype(spec.dtype)
    return encoded


def _decode(answer: npt.NDArray[np.generic], emitted: Emitted) -> FloatArray:
    spec, real = emitted.output, answer.astype(np.float32)
    if spec.scale is not None and spec.zero_point is not None:
        real = (real - spec.zero_point) * np.float32(spec.scale)
    return np.asarray(real.transpose(0, 3, 1, 2) if spec.layout == "NHWC" else real)


@pytest.fixture
def compare(tmp_path: Path) -> Callable[[ir.Model, FloatArray, EmitOptions], Comparison]:
    """``compare(model, batch, options)``: emit the graph and run both on a batch [N, C, H, W]."""

    def run(model: ir.Model, batch: FloatArray, options: EmitOptions) -> Comparison:
        name = model.graph.outputs[0].name or ""
        want = GraphRunner(model, optimize=False).run(batch)[name]
        path = tmp_path / "small.tflite"
        emitted = emit(model, path, "tflite", options)
        runner = load(path)
        answers = [
            _decode(runner.run(_encode(batch[i : i + 1], emitted)), emitted) for i in range(len(batch))
        ]
        return Comparison(np.concatenate(answers), want, emitted, delegated(path))

    return run
