"""ONNX files for onnxruntime and every other reader of the standard, opset 18, default domain only.

- ``fp32``: the canonical graph as it is.
- ``fp16``: float16 weights and biases, each behind a ``Cast``; computed in float32, since CPU runtimes
  have no float16 kernels worth calling. Half the size at fp32's speed.
- ``int8``: the quantized graph as ``QuantizeLinear``/``DequantizeLinear`` (QDQ), said so that
  onnxruntime fuses every pair into its integer kernels. Layers that were left float have float16
  weights, as in ``fp16``.
- ``dynamic``: int8 weights with a scale for each output channel; convolutions compute in float32, the
  classifier quantizes its input at run time. A quarter of the size at fp32's speed.
- ``weight-only``: the same without the classifier's integers. ``DequantizeLinear`` would say it as well,
  but onnxruntime does not fold it: EfficientNet-Lite0 then takes 134 ms instead of 24.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import onnx
import onnx_ir as ir

import edgekit
from edgekit.emit.base import JSON, EmitOptions, Emitted, OnnxOptions
from edgekit.emit.rendering import Recipe, Rendered, check_integer, count_dtypes, render
from edgekit.emit.renderings.clamps import clamp_integers, drop_implied_clamps
from edgekit.emit.renderings.dynamic_classifier import quantize_classifier_dynamically
from edgekit.emit.renderings.float_islands import shield_float_layers
from edgekit.emit.renderings.hard_activations import lower_hard_activations
from edgekit.emit.renderings.uint8_activations import shift_to_uint8
from edgekit.emit.renderings.weights import store_half, store_int8, store_islands_half
from edgekit.errors import CheckError, UnsupportedError
from edgekit.files import write_atomically
from edgekit.options import TensorSpec

__all__ = ["emit", "serialize"]

_INTEGER = (lower_hard_activations, drop_implied_clamps)


def _recipe(options: OnnxOptions) -> Recipe:
    shift = (shift_to_uint8,) if options.activation_type == "uint8" else ()
    return {
        "fp32": (),
        "fp16": (store_half,),
        "int8": (*_INTEGER, *shift, clamp_integers, shield_float_layers, store_islands_half),
        "dynamic": (quantize_classifier_dynamically, store_int8),
        "weight-only": (store_int8,),
    }


def emit(model: ir.Model, path: Path, options: EmitOptions) -> Emitted:
    """Write ``model`` as one ``.onnx`` file that holds its weights.

    Input and output are NCHW/NC and float32 unless an int8 file is asked for others.
    Raises UnsupportedError for an option that the precision does not allow, CheckError when the file
    would not be valid ONNX or not of the precision asked for, OutputError when it cannot be written.
    """
    rendered = render(model, options, _recipe(options.onnx))
    if options.precision == "int8":
        check_integer(rendered)
    _describe(rendered, options)
    data = serialize(rendered.model)
    write_atomically(path, data)
    return Emitted(
        path=path,
        format="onnx",
        precision=options.precision,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        input=rendered.input,
        output=rendered.output,
        dtypes=count_dtypes(rendered.model),
        details=_details(rendered.model, options),
        more_inputs=rendered.more_inputs,
        more_outputs=rendered.more_outputs,
    )


def serialize(model: ir.Model) -> bytes:
    """The file's bytes: the lowest IR version of its opset, checked by ``onnx.checker`` in full.

    Raises CheckError when the checker objects.
    """
    proto = ir.to_proto(model)
    proto.ir_version = onnx.helper.find_min_ir_version_for(list(proto.opset_import))
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise CheckError(f"the ONNX file would not be valid: {exc}") from exc
    return bytes(proto.SerializeToString(deterministic=True))


def _describe(rendered: Rendered, options: EmitOptions) -> None:
    """Write name, origin and everything an application needs into the model's metadata."""
    model = rendered.model
    model.graph.name = options.name
    model.doc_string = options.description or None
    model.producer_name, model.producer_version = "edgekit", edgekit.__version__
    model.metadata_props.clear()
    for spec in rendered.specs:
        if spec.scale is not None:
            model.metadata_props[f"quantization.{spec.name}"] = _parameters(spec)
    if options.preprocessing is not None:
        model.metadata_props["preprocessing"] = json.dumps(vars(options.preprocessing))
    if options.calibration is not None:
        model.metadata_props["calibration"] = json.dumps(vars(options.calibration))
    if options.labels is not None:
        _check_labels(options.labels, rendered.output)
        model.metadata_props["labels"] = json.dumps(options.labels, ensure_ascii=False)


def _parameters(spec: TensorSpec) -> str:
    return json.dumps({"scale": spec.scale, "zero_point": spec.zero_point})


def _check_labels(labels: tuple[str, ...], output: TensorSpec) -> None:
    if len(labels) != output.shape[1]:
        raise UnsupportedError(f"{len(labels)} labels for {output.shape[1]} outputs")


def _details(model: ir.Model, options: EmitOptions) -> dict[str, JSON]:
    operators: dict[str, JSON] = dict(Counter(node.op_type for node in model.graph).most_common())
    details: dict[str, JSON] = {"opset": model.graph.opset_imports[""], "operators": operators}
    if options.precision == "int8":
        details["activation_type"] = options.onnx.activation_type
    return details
