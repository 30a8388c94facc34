"""What ``edgekit describe --explain`` prints of kernels: small ones in a row, and groups at equal cost."""

from __future__ import annotations

from edgekit import source
from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.models.network import Network
from edgekit.models.resnet import resnext_width
from edgekit.models.stacks import EXAMPLES, Stack, stacks
from edgekit.options import ScaleChange

__all__ = ["print_explanation"]

_COLUMNS = (
    Column("convolutions in a row"),
    Column("see", is_number=True),
    Column("M MACs", is_number=True),
    Column("one kernel, M MACs", is_number=True),
    Column("ratio", is_number=True),
)
_GROUPS = (1, 2, 4, 8, 32)
_GROUPED_FAMILIES = ("resnext", "senet")


def print_explanation(model: str, change: ScaleChange) -> None:
    """Print both rules, every such row of a zoo network, and for ResNeXt its widths."""
    console.print_line()
    console.print_line(
        "n convolutions in a row with k×k kernels see n·(k−1)+1 pixels a side: "
        + "; ".join(_sentence(one) for one in EXAMPLES)
        + "."
    )
    network = source.parse(model, change)
    if not isinstance(network, Network):
        return
    rows = stacks(network)
    if rows:
        console.print_line()
        console.print_table(_COLUMNS, [_cells(row) for row in rows])
    if network.family in _GROUPED_FAMILIES:
        widths = ", ".join(f"{groups} × {resnext_width(groups):.1f}" for groups in _GROUPS)
        console.print_line()
        console.print_line(
            "G groups of c channels cost a bottleneck what C = 64 channels do where 9Gc² + 8GCc = 17C²: "
            f"{widths}."
        )


def _sentence(one: Stack) -> str:
    return (
        f"{one.name} {one.kernel}×{one.kernel} see {one.seen}×{one.seen} for {one.macs}·C² multiply-adds "
        f"a pixel instead of {one.single_macs}·C², {1 - one.ratio:.0%} less"
    )


def _cells(row: Stack) -> tuple[str, ...]:
    return (
        f"{row.name}: {row.count} of {row.kernel}×{row.kernel}, {row.channels} channels",
        f"{row.seen}×{row.seen}",
        f"{row.macs / 1e6:,.2f}",
        f"{row.single_macs / 1e6:,.2f}",
        f"{row.ratio:.3f}",
    )
