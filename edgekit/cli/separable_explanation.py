"""What ``edgekit describe --explain`` prints: the arithmetic of depthwise separable convolutions."""

from __future__ import annotations

from edgekit import source
from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.models.network import Network
from edgekit.models.separable import EXAMPLE, separable_convolutions
from edgekit.options import ScaleChange

__all__ = ["print_explanation"]

_COLUMNS = (
    Column("depthwise layer"),
    Column("input", is_number=True),
    Column("output", is_number=True),
    Column("kernel", is_number=True),
    Column("full, M MACs", is_number=True),
    Column("depthwise + pointwise", is_number=True),
    Column("ratio", is_number=True),
)


def print_explanation(model: str, change: ScaleChange) -> None:
    """Print the rule, its smallest example, and every such convolution of a zoo network."""
    one = EXAMPLE
    console.print_line()
    console.print_line(
        "A full convolution with k×k kernels from M to N channels takes M·N·k² multiplications a pixel; "
        "filtering each channel by itself (M·k²), then mixing them (M·N), takes 1/N + 1/k² of that."
    )
    console.print_line(
        f"For example {one.in_height}×{one.in_width}×{one.in_channels} to "
        f"{one.height}×{one.width}×{one.out_channels} with {one.kernel}×{one.kernel} kernels: "
        f"{one.full_macs:,} multiplications, or {one.depthwise_macs} + {one.pointwise_macs} = {one.macs}: "
        f"1/{one.out_channels} + 1/{one.kernel**2} = {one.ratio:.2f} of it."
    )
    network = source.parse(model, change)
    rows = separable_convolutions(network) if isinstance(network, Network) else ()
    if not rows:
        return
    full, separable = sum(row.full_macs for row in rows), sum(row.macs for row in rows)
    console.print_line()
    console.print_table(
        _COLUMNS,
        [
            (
                row.name,
                f"{row.in_channels}×{row.in_height}×{row.in_width}",
                f"{row.out_channels}×{row.height}×{row.width}",
                f"{row.kernel}×{row.kernel}",
                f"{row.full_macs / 1e6:,.2f}",
                f"{row.depthwise_macs / 1e6:,.2f} + {row.pointwise_macs / 1e6:,.2f}",
                f"{row.ratio:.3f}",
            )
            for row in rows
        ],
        footer=(
            "total",
            "",
            "",
            "",
            f"{full / 1e6:,.2f}",
            f"{separable / 1e6:,.2f}",
            f"{separable / full:.3f}",
        ),
    )
