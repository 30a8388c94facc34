"""OpenVINO IR: an ``.xml`` with the graph and a ``.bin`` with the weights, made from our ONNX rendering.

The file is converted by ``openvino.convert_model``.

- ``fp32``: weights stay float32.
- ``fp16``: weights stored as float16, widened when the model is compiled.
- ``int8``: activations are ``FakeQuantize``, weights int8; the CPU plugin turns both into integer
  kernels. SiLU and hard-swish run inside the epilogue of the convolution before them. What additions read,
  and float32 answers of a convolution or a matrix product, is not rounded to int8.
- ``weight-only``: int8 weights with a scale for each output channel, computed in float32. ``dynamic`` is
  the same: OpenVINO quantizes no activations of convolutions at run time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

from edgekit.emit.base import JSON, EmitOptions, Emitted
from edgekit.emit.onnx import serialize
from edgekit.emit.openvino_census import check_integer, count_dtypes
from edgekit.emit.openvino_conversion import convert
from edgekit.emit.openvino_kernels import hint_kernels
from edgekit.emit.openvino_metadata import describe
from edgekit.emit.rendering import Recipe, render
from edgekit.emit.renderings.average_padding import pad_averages
from edgekit.emit.renderings.clamps import drop_implied_clamps
from edgekit.emit.renderings.hard_sigmoid import expand_hard_sigmoid
from edgekit.emit.renderings.silu import merge_silu
from edgekit.emit.renderings.uint8_activations import shift_to_uint8
from edgekit.emit.renderings.unrounded import free_answers, free_terms
from edgekit.emit.renderings.weights import store_int8, store_islands_half
from edgekit.errors import OutputError
from edgekit.files import atomic_folder, sha256_of
from edgekit.options import Precision
from edgekit.runtimes.openvino import import_openvino

__all__ = ["emit"]

_RECIPE: Recipe = {
    "fp32": (expand_hard_sigmoid,),
    "fp16": (expand_hard_sigmoid,),
    "int8": (
        free_terms,
        drop_implied_clamps,
        expand_hard_sigmoid,
        merge_silu,
        pad_averages,
        shift_to_uint8,
        store_islands_half,
    ),
    "dynamic": (expand_hard_sigmoid, store_int8),
    "weight-only": (expand_hard_sigmoid, store_int8),
}
_FREE_ANSWERS: Recipe = {**_RECIPE, "int8": (free_answers, *_RECIPE["int8"])}  # where they are float32
_INTEGERS = ("int8", "uint8")
_COUNTED_NAME = re.compile(r"(.*[A-Za-z])_\d+")


def emit(model: ir.Model, path: Path, options: EmitOptions) -> Emitted:
    """Write ``model`` as ``path`` (``.xml``) and the ``.bin`` beside it, both or neither.

    ``size_bytes`` counts both files; ``sha256`` is the ``.xml``'s, the ``.bin``'s is in ``details``.
    Input and output are NCHW/NC and float32 unless an int8 file is asked for others.
    Raises MissingExtraError without the package openvino, UnsupportedError for an option or operator
    that OpenVINO cannot express, CheckError when an int8 file would compute in float, OutputError when
    the files cannot be written.
    """
    rendered = render(model, options, _RECIPE if options.output_type in _INTEGERS else _FREE_ANSWERS)
    converted = convert(serialize(rendered.model))
    if options.precision == "int8":
        check_integer(converted, rendered.floats)
    _name_inputs(converted, [spec.name for spec in (rendered.input, *rendered.more_inputs)])
    _rename_counted(converted, keep=_names(rendered.model))
    describe(converted, rendered, options)
    _save(converted, path, options.precision)
    weights = path.with_suffix(".bin")
    return Emitted(
        path=path,
        format="openvino",
        precision=options.precision,
        size_bytes=path.stat().st_size + weights.stat().st_size,
        sha256=sha256_of(path),
        input=rendered.input,
        output=rendered.output,
        dtypes=count_dtypes(_read(path)),
        details=_details(weights),
        more_inputs=rendered.more_inputs,
        more_outputs=rendered.more_outputs,
    )


def _names(model: ir.Model) -> set[str]:
    return {str(named.name) for node in model.graph for named in (node, *node.inputs) if named is not None}


def _name_inputs(model: Any, names: Sequence[str]) -> None:
    """Inputs keep their names where OpenVINO folds the operator behind one, and names it after that."""
    for port, name in zip(model.inputs, names, strict=True):
        if port.get_names() != {name}:
            port.get_node().set_friendly_name(name)
            port.get_tensor().set_names({name})


def _rename_counted(model: Any, keep: set[str]) -> None:
    """Number OpenVINO's invented names by their order in the graph.

    It counts them across a whole process, and the same export should give the same file.
    """
    for index, node in enumerate(model.get_ordered_ops()):
        name = node.get_friendly_name()
        match = _COUNTED_NAME.fullmatch(name)
        if match is not None and name not in keep:
            node.set_friendly_name(f"{match[1]}_{index}")


def _read(path: Path) -> Any:
    return import_openvino().Core().read_model(str(path))


def _save(model: Any, path: Path, precision: Precision) -> None:
    with atomic_folder(path.parent) as staging:
        try:
            import_openvino().save_model(
                model, str(staging / path.name), compress_to_fp16=precision == "fp16"
            )
            if precision == "int8":
                hint_kernels(staging / path.name)
        except (RuntimeError, OSError) as exc:  # C++ streams do not say why
            raise OutputError(
                f"cannot write {path}: {exc}", hint="the disk may be full: choose a folder on another disk"
            ) from exc


def _details(weights: Path) -> dict[str, JSON]:
    return {
        "weights": weights.name,
        "weights_size_bytes": weights.stat().st_size,
        "weights_sha256": sha256_of(weights),
    }
