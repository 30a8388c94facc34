"""Running a canonical (or quantized) graph with onnxruntime, on batches.

This is the reference that calibration, bias correction and verification read. A canonical graph has
batch size 1; the runner lets the batch dimension float, so N images are one call, unless an operator
fixes it (a ``Resize`` to constant sizes, say), in which case images run one by one. Values without a batch
dimension, whose first is not 1, get one here: those of N images are stacked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.errors import GraphError, InputError, MissingExtraError
from edgekit.graph.batch import free_batch
from edgekit.graph.subgraph import extract_subgraph, find_value
from edgekit.graph.values import array_of, shape_of

__all__ = ["GraphRunner"]

FloatArray = npt.NDArray[np.float32]

_QUIET = 4  # onnxruntime's severity of fatal errors: warnings are not for the application's user


class _Session(Protocol):
    """What is used of onnxruntime's InferenceSession, which has no type stubs."""

    def run(self, outputs: Sequence[str], feeds: Mapping[str, FloatArray]) -> list[FloatArray]: ...


class GraphRunner:
    """A session that computes chosen values of a graph for batches of inputs.

    ``outputs`` names any values of the graph, in any order; ``None`` means the graph's outputs.
    ``inputs`` cuts the graph: only what lies between ``inputs`` and ``outputs`` is run, and ``run``
    then takes those values. ``num_threads=None`` leaves the number to onnxruntime. Weights are
    copied at construction: later changes of ``model`` do not reach the runner.
    """

    def __init__(
        self,
        model: ir.Model,
        outputs: Sequence[str] | None = None,
        *,
        inputs: Sequence[str] | None = None,
        num_threads: int | None = 1,
        optimize: bool = True,
    ) -> None:
        given = [v.name or "" for v in model.graph.inputs] if inputs is None else list(inputs)
        wanted = [v.name or "" for v in model.graph.outputs] if outputs is None else list(outputs)
        self.input_names = tuple(given)
        self.output_names = tuple(wanted)
        self._constant_outputs = _constants(model, wanted)
        computed = [name for name in wanted if name not in given and name not in self._constant_outputs]
        part = extract_subgraph(model, given, computed)
        ends = {value.name or "": value for value in (*part.graph.inputs, *part.graph.outputs)}
        self._types = {name: _numpy_type(value) for name, value in ends.items()}
        self._stacked = {name for name, value in ends.items() if shape_of(value)[:1] != (1,)}
        self._batched = not self._stacked and free_batch(part)
        self._computed = computed
        self._session = _session(part, num_threads, optimize) if computed else None

    def run(self, batch: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> dict[str, FloatArray]:
        """Values of the outputs for a batch.

        ``batch`` is float32 ``[N, C, H, W]`` for a graph with one input, or one such array for each
        input name. Each result has the batch dimension first. Raises
        :class:`~edgekit.errors.InputError` when names or shapes do not fit.
        """
        feeds = self._feeds(batch)
        size = {len(array) for array in feeds.values()}
        if len(size) != 1 or 0 in size:
            raise InputError(f"inputs have batch sizes {sorted(size)}, expected one positive size")
        if self._batched:
            results = self._run_once(feeds)
        else:
            singles = [self._run_once(self._single(feeds, i)) for i in range(size.pop())]
            results = {name: self._joined(name, [s[name] for s in singles]) for name in self._computed}
        known = {**feeds, **self._constant_outputs, **results}
        return {name: known[name] for name in self.output_names}

    def _feeds(self, batch: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> dict[str, FloatArray]:
        named = batch if isinstance(batch, Mapping) else {self.input_names[0]: batch}
        if set(named) != set(self.input_names):
            raise InputError(f"inputs {sorted(named)} were given, expected {sorted(self.input_names)}")
        return {name: np.asarray(array, self._types.get(name, np.float32)) for name, array in named.items()}

    def _single(self, feeds: Mapping[str, FloatArray], index: int) -> dict[str, FloatArray]:
        return {
            name: array[index] if name in self._stacked else array[index : index + 1]
            for name, array in feeds.items()
        }

    def _joined(self, name: str, singles: Sequence[FloatArray]) -> FloatArray:
        return np.stack(singles) if name in self._stacked else np.concatenate(singles)

    def _run_once(self, feeds: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        if self._session is None:
            return {}
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        try:
            arrays = self._session.run(self._computed, feeds)
        except (Fail, InvalidArgument, RuntimeException) as exc:
            shapes = {name: list(array.shape) for name, array in feeds.items()}
            raise InputError(f"the graph cannot run on inputs of shape {shapes}: {exc}") from exc
        return dict(zip(self._computed, arrays, strict=True))


def _constants(model: ir.Model, names: Sequence[str]) -> dict[str, FloatArray]:
    found = {}
    for name in names:
        array = array_of(find_value(model, name))
        if array is not None:
            found[name] = array.astype(np.float32)
    return found


def _numpy_type(value: ir.Value) -> np.dtype[np.generic]:
    return np.dtype(np.float32) if value.dtype is None else value.dtype.numpy()


def _session(model: ir.Model, num_threads: int | None, optimize: bool) -> _Session:
    try:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, NotImplemented
    except ImportError as exc:
        raise MissingExtraError("onnxruntime", "", "running a graph") from exc
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.enable_cpu_mem_arena = False  # sessions are many and short: what one keeps, the next lacks
    # Threads that wait by spinning take the cores from whatever else runs: several times slower there.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Exact products of bytes on x86 without VNNI as well: what a graph says, not what kernels make of it.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    proto = ir.to_proto(model)
    try:
        session: _Session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except (Fail, InvalidGraph, NotImplemented) as exc:
        raise GraphError(f"onnxruntime refuses the graph: {exc}") from exc
    return session
