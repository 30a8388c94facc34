"""The most that this machine does: multiply-adds a second in a large product, bytes a second in a copy.

What an operator reaches is held against these two. Its arithmetic intensity (multiply-adds for each byte
moved) says which of them it can come near. Williams, Waterman and Patterson, "Roofline: an insightful
visual performance model", 2009.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgekit.runtimes.onnx import open_session

__all__ = ["Roofline", "measure_roofline"]

_SIZE = 1024
_COPIED_BYTES = 1 << 27
"""Beyond the last cache of any machine that this runs on, or nearly."""
_RUNS = 7
_OPSET, _IR_VERSION = 13, 8


@dataclass(frozen=True)
class Roofline:
    """The two limits: 10⁹ multiply-adds and 10⁹ bytes (read and written) a second."""

    peak_gmacs_per_s: float
    bandwidth_gb_per_s: float

    def limit_gmacs_per_s(self, macs: int, moved_bytes: int) -> float:
        """The most that an operator of so much work and traffic can reach."""
        return min(self.peak_gmacs_per_s, self.bandwidth_gb_per_s * macs / moved_bytes)


def measure_roofline(is_integer: bool, num_threads: int = 1) -> Roofline:
    """Measure both limits here, each the best of seven runs.

    Those of a 1024³ product, of float32 or of uint8 and int8, and of a copy of 128 MiB.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "product.onnx")
        onnx.save(_product(is_integer), str(path))
        session = open_session(path, num_threads)
        feeds = {one.name: np.ones((_SIZE, _SIZE), _dtype(one.type)) for one in session.get_inputs()}
        seconds = _least_seconds(lambda: session.run(None, feeds))
    source = np.ones(_COPIED_BYTES // 8)
    copy = np.empty_like(source)
    copied = _least_seconds(lambda: np.copyto(copy, source))
    return Roofline(_SIZE**3 / seconds * 1e-9, 2 * _COPIED_BYTES / copied * 1e-9)


def _product(is_integer: bool) -> onnx.ModelProto:
    left, right, product = (
        (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32) if is_integer else (TensorProto.FLOAT,) * 3
    )
    shape = [_SIZE, _SIZE]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger" if is_integer else "MatMul", ["left", "right"], ["product"])],
        "product",
        [
            helper.make_tensor_value_info("left", left, shape),
            helper.make_tensor_value_info("right", right, shape),
        ],
        [helper.make_tensor_value_info("product", product, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def _dtype(described: str) -> str:
    element = described.removeprefix("tensor(").removesuffix(")")
    return "float32" if element == "float" else element


def _least_seconds(work: Callable[[], object]) -> float:
    work()
    samples = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        work()
        samples.append(time.perf_counter() - started)
    return min(samples)
