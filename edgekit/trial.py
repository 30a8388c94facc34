"""A file of a network for timing alone: the operators at their sizes, with weights that mean nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.building import build_graph, build_network
from edgekit.emit import EmitOptions, emit
from edgekit.graph.values import shape_of
from edgekit.models import zoo
from edgekit.models.network import Network
from edgekit.options import INTEGER, SUFFIXES, ExportOptions, Format, Precision, ScaleChange
from edgekit.quantize import Observation, QuantizeOptions, observe, quantize
from edgekit.quantize.precision import with_precisions

__all__ = ["make_trial", "make_yardstick"]

_QUICK = QuantizeOptions(ranges="minmax", rounding="nearest", bias_correction=False)


def make_trial(
    model: Network | str,
    format_: Format,
    precision: Precision,
    folder: Path,
    scale: ScaleChange = ScaleChange(),
) -> Path:
    """Write a network, or what MODEL names, int8 calibrated on one random image, and return the file.

    A network of the zoo has random weights; how long it takes to run depends on neither. Raises what
    :func:`edgekit.building.build_graph` raises.
    """
    if isinstance(model, Network):
        built = build_network(model, ExportOptions(weights="random"))
    else:
        weights = "random" if model in zoo.names() else "auto"
        built = build_graph(model, ExportOptions(weights=weights, scale=scale))
    graph, name = built.graph, built.model.name
    if precision in INTEGER:
        shape = shape_of(graph.graph.inputs[0])
        image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        graph = quantize(graph, _in_width(observe(graph, [image]), precision), _QUICK).model
    path = folder / f"{name}_{precision}{SUFFIXES[format_]}"
    options = EmitOptions(
        precision=precision,
        input_type=None,
        output_type=None,
        name=name,
        preprocessing=built.preprocessing,
        labels=None,
        description="",
    )
    emit(graph, path, format_, options)
    return path


def make_yardstick(format_: Format, precision: Precision, folder: Path) -> Path:
    """A small file whose time tells how fast the machine is at the moment."""
    return make_trial("mobilenet_v1", format_, precision, folder, ScaleChange(width=0.5, resolution=128))


def _in_width(observation: Observation, precision: Precision) -> Observation:
    """Every layer with int16 activations where that is the precision."""
    if precision != "int16":
        return observation
    names = (layer.name for layer in observation.plan.layers)
    return replace(observation, plan=with_precisions(observation.plan, dict.fromkeys(names, "int16")))
