"""TFLite files, written directly: NHWC, fused activations, lowest operator versions, metadata for apps."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import onnx_ir as ir

from edgekit.emit.base import JSON, EmitOptions, Emitted
from edgekit.emit.tflite.contract import check_integer_program, count_dtypes
from edgekit.emit.tflite.interface import set_interface
from edgekit.emit.tflite.metadata import METADATA_NAME, append_labels, build_metadata
from edgekit.emit.tflite.program import Program
from edgekit.emit.tflite.registry import lower
from edgekit.emit.tflite.versions import minimum_runtime, operator_version
from edgekit.emit.tflite.writer import pack
from edgekit.errors import UnsupportedError
from edgekit.files import write_atomically
from edgekit.graph import qdq
from edgekit.graph.ops import is_fusable
from edgekit.options import TensorSpec

__all__ = ["emit"]

_CALIBRATION = "edgekit.calibration"  # a buffer of JSON: the format has no field for it
_RUNTIME_VERSION_BYTES = 16  # the converter's fixed size; readers stop at the first zero byte


def _check_labels(options: EmitOptions, output: TensorSpec) -> None:
    if options.labels is not None and len(options.labels) != output.shape[-1]:
        raise UnsupportedError(f"{len(options.labels)} labels for {output.shape[-1]} outputs")


def _metadata(options: EmitOptions, source: TensorSpec, output: TensorSpec, runtime: str) -> dict[str, bytes]:
    entries = {"min_runtime_version": runtime.encode().ljust(_RUNTIME_VERSION_BYTES, b"\0")}
    if options.preprocessing is not None or options.labels is not None:
        entries[METADATA_NAME] = build_metadata(
            options.name,
            options.description,
            source,
            output,
            options.preprocessing,
            options.labels is not None,
        )
    if options.calibration is not None:
        entries[_CALIBRATION] = json.dumps(vars(options.calibration)).encode()
    return entries


def _details(program: Program, runtime: str) -> dict[str, JSON]:
    counts: dict[str, JSON] = dict(Counter(operator.code for operator in program.operators).most_common())
    return {
        "operators": counts,
        "transposes": counts.get("TRANSPOSE", 0),
        "min_runtime_version": runtime,
    }


def _float_values(graph: ir.Graph) -> set[str]:
    """Names of what the graph's float layers compute, behind the activation that is fused into them too."""
    names: set[str] = set()
    for node in graph:
        source = node.inputs[0] if node.inputs else None
        if qdq.is_float(node) or (is_fusable(node) and source is not None and source.name in names):
            names.update(value.name for value in node.outputs if value.name)
    return names


def emit(model: ir.Model, path: Path, options: EmitOptions) -> Emitted:
    """Write ``model`` as one ``.tflite`` file.

    The input is NHWC. ``int8`` expects a quantized graph and writes int8 input and output unless told
    otherwise, and an output of the input's type unless told otherwise. ``int16`` expects one whose
    activations are int16, and the other precisions an fp32 graph: these have float32 input and output.
    Raises UnsupportedError for an operator or option that TFLite cannot express, CheckError for int8
    parameters that its kernels do not accept, OutputError when the file cannot be written.
    """
    is_integer = options.precision in ("int8", "int16")
    program = lower(model.graph, "int8" if is_integer else options.precision)
    inputs, outputs = set_interface(
        program,
        options.precision,
        options.input_type,
        options.output_type,
        takes_pixels=options.takes_pixels,
    )
    source, output = inputs[0], outputs[0]
    _check_labels(options, output)
    if is_integer:
        check_integer_program(program, _float_values(model.graph))
    versions = {(op.code, operator_version(op, program.tensors)) for op in program.operators}
    runtime = minimum_runtime(versions)
    data = pack(program, options.name, options.description, _metadata(options, source, output, runtime))
    if options.labels is not None:
        data = append_labels(data, options.labels)
    write_atomically(path, data)
    return Emitted(
        path=path,
        format="tflite",
        precision=options.precision,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        input=source,
        output=output,
        dtypes=count_dtypes(program),
        details=_details(program, runtime),
        more_inputs=inputs[1:],
        more_outputs=outputs[1:],
    )
