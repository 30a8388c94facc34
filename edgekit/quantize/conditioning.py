"""Conditioning a graph for int8: the same function, in numbers that quantize better.

Each stage returns a graph that computes what the given one does (see its module for the conditions), with
the same operators and sizes. What follows, calibration and quantization, reads the conditioned graph.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice

import onnx_ir as ir

from edgekit.quantize.absorb import absorb_biases
from edgekit.quantize.arithmetic import FloatArray
from edgekit.quantize.channels import ChannelGraph, measure_channels
from edgekit.quantize.equalize import equalize
from edgekit.quantize.plan import Plan
from edgekit.quantize.spare import Stagger, fill_spare_channels

__all__ = ["Conditioned", "condition"]

_IMAGES = 32  # that show which channels are large


@dataclass(frozen=True)
class Conditioned:
    """The conditioned graph, and how layers round in it (see :mod:`edgekit.quantize.spare`)."""

    model: ir.Model
    staggers: tuple[Stagger, ...] = ()


def condition(
    model: ir.Model, plan: Plan, images: Iterable[FloatArray], *, skip: Collection[str] = ()
) -> Conditioned:
    """Condition a canonical fp32 graph by the ranges of its channels on images, float32 ``[1, C, H, W]``.

    The first 32 of ``images`` are read. ``plan`` says which layers become int8: the others are left alone.
    ``skip`` names stages that are left out, of those in :data:`~edgekit.quantize.options.STAGES`.
    """
    if {"equalize", "absorb-biases", "spare-channels"} <= set(skip):
        return Conditioned(model)
    graph = ChannelGraph(model, plan, measure_channels(model, plan, islice(images, _IMAGES)))
    staggers = [] if "spare-channels" in skip else fill_spare_channels(graph)
    if "absorb-biases" not in skip:
        absorb_biases(graph)
    if "equalize" not in skip:
        equalize(graph)
    return Conditioned(graph.model, tuple(staggers))
