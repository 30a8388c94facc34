"""The receptive field of every layer of a network, from its table."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.models.cost import op_of
from edgekit.models.deployed import Step, steps_of
from edgekit.models.layers import INPUT
from edgekit.models.network import Network, Site
from edgekit.receptive_field import PIXEL, ReceptiveField, joined

__all__ = ["receptive_fields"]

_WHOLE_IMAGE = {"GlobalAveragePool", "Gemm"}


def receptive_fields(network: Network) -> tuple[ReceptiveField | None, ...]:
    """One for each row of :meth:`edgekit.models.cost.Cost.layers`; None for what sees the whole image."""
    return tuple(_walk(network))


def _walk(network: Network) -> Iterator[ReceptiveField | None]:
    field: ReceptiveField | None = PIXEL
    for block in network.blocks():
        fields = {INPUT: field}
        for step in steps_of(block.site.structure):  # the last makes the block's output
            fields[step.out.name] = field = _field(step, block.site, fields)
            yield field


def _field(step: Step, site: Site, fields: dict[str, ReceptiveField | None]) -> ReceptiveField | None:
    if op_of(step, site) in _WHOLE_IMAGE:
        return None
    field = joined(fields[tensor.name] for tensor in step.inputs)
    if field is None or step.window is None:
        return field
    return field.through(step.window.kernel, step.window.stride)
