"""A network in every format, fp32 and int8, beside what its source answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.emit import EmitOptions, emit
from edgekit.errors import EdgekitError
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import extract_subgraph
from edgekit.graph.values import required
from edgekit.options import SUFFIXES, Format, Precision
from edgekit.parity import max_relative_error, sqnr_db
from edgekit.quantize import quantize
from edgekit.quantize.observation import observe
from edgekit.quantize.options import QuantizeOptions
from edgekit.runtimes import load
from edgekit.runtimes.tflite import delegated

__all__ = ["FORMATS", "LARGEST_ERROR", "LEAST_SQNR_DB", "Renderings", "render_all"]

FloatArray = npt.NDArray[np.float32]

FORMATS: tuple[Format, ...] = ("tflite", "onnx", "openvino")

LARGEST_ERROR = 1e-4
"""Of fp32 files, relative to the largest logit of the source."""
LEAST_SQNR_DB = 15.0
"""Of int8 files against their quantized graph: a tie of rounding is amplified by a deep random network."""

_FAST = QuantizeOptions(rounding="nearest", bias_correction=False, ranges="minmax")


@dataclass
class Renderings:
    """What was found of one network; of int8 files the logits, before a softmax.

    ``errors`` are the fp32 files' largest ones relative to the source's largest logit, ``sqnr_db`` the int8
    files' against the quantized graph, ``quantized_db`` that graph's against the source. ``left`` are the
    operators of the int8 TFLite file outside XNNPACK. ``refused`` has a message for each file that could not
    be made.
    """

    errors: dict[Format, float] = field(default_factory=dict)
    sqnr_db: dict[Format, float] = field(default_factory=dict)
    quantized_db: float = float("nan")
    transposes: int = 0
    partitions: int = 0
    left: tuple[str, ...] = ()
    refused: list[str] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Whether every file was made, and answers like its source."""
        return (
            not self.refused
            and all(self.errors.get(name, np.inf) <= LARGEST_ERROR for name in FORMATS)
            and all(self.sqnr_db.get(name, -np.inf) >= LEAST_SQNR_DB for name in FORMATS)
        )


def render_all(
    make_graph: Callable[[], ir.Model], images: FloatArray, answers: FloatArray, folder: Path
) -> Renderings:
    """Every format of ``make_graph()`` on ``images``, NCHW; the source answers ``answers``, [N, classes]."""
    found = Renderings()
    for name in FORMATS:
        path = _emit(make_graph(), name, "fp32", folder, found)
        if path is not None:
            found.errors[name] = max_relative_error(answers, _answers(path, images))
    graph = _without_softmax(make_graph())
    quantized = quantize(graph, observe(graph, images[:, None]), _FAST).model
    wanted = _flat(GraphRunner(quantized, optimize=False).run(images))
    found.quantized_db = sqnr_db(_flat(GraphRunner(graph).run(images)), wanted)
    for name in FORMATS:
        path = _emit(quantized, name, "int8", folder, found)
        if path is not None:
            found.sqnr_db[name] = sqnr_db(wanted, _answers(path, images))
    return found


def _without_softmax(graph: ir.Model) -> ir.Model:
    """The graph up to its logits: large ones of random weights make a class of 1 and others of 0 of any."""
    last = [node for node in graph.graph if node.op_type == "Softmax"][-1:]
    return extract_subgraph(graph, ["image"], [required(last[0], 0).name or ""]) if last else graph


def _flat(found: dict[str, FloatArray]) -> FloatArray:
    (answers,) = found.values()
    return answers.reshape(len(answers), -1)


def _emit(
    graph: ir.Model, format: Format, precision: Precision, folder: Path, found: Renderings
) -> Path | None:
    path = folder / f"net_{precision}{SUFFIXES[format]}"
    types: dict[str, Any] = {"input_type": "float32", "output_type": "float32"}
    try:
        emitted = emit(graph, path, format, EmitOptions(precision, **types))
    except EdgekitError as exc:
        found.refused.append(f"{format} {precision}: {exc}")
        return None
    if format == "tflite":
        found.transposes += cast("int", emitted.details["transposes"])
        if precision == "int8":
            taken = delegated(path)
            found.partitions, found.left = taken.partitions, tuple(name.split()[0] for name in taken.left)
    return path


def _answers(path: Path, images: FloatArray) -> FloatArray:
    runner = load(path)
    fed = images.transpose(0, 2, 3, 1) if path.suffix == ".tflite" else images
    answers = [np.asarray(runner.run(image[None]), np.float32).reshape(-1) for image in fed]
    path.unlink()
    return np.stack(answers)
