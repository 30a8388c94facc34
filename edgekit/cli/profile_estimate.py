"""``edgekit profile`` for microcontrollers and NPUs, which are estimated and not measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.errors import InputError

if TYPE_CHECKING:
    from edgekit.estimating import EstimateOptions, EstimateResult, OperatorCost
    from edgekit.micro.vela import VelaEstimate

__all__ = ["show"]

_NAMES = (Column("layer"), Column("operator"))
_WORK = (Column("M multiply-adds", is_number=True), Column("KB in use", is_number=True))
_NPU_COLUMNS = (
    *_NAMES,
    Column("cycles", is_number=True),
    Column("ms", is_number=True),
    Column("share %", is_number=True),
    *_WORK,
)
_MICRO_COLUMNS = (*_NAMES, Column("share %", is_number=True), *_WORK)


def show(
    model: str, options: EstimateOptions, *, top: int | None, files: tuple[Path | None, ...], json: bool
) -> None:
    """Estimate and print. ``files`` were asked for a record and a picture. Raises InputError for either."""
    if any(files):
        raise InputError(
            f"target {options.target} is estimated, and results files and pictures are of measurements",
            hint="--json prints the estimate",
        )
    from edgekit.estimating import estimate  # brings what makes files of models

    result = estimate(model, options)
    for sentence in (*result.refusals, *result.warnings):
        console.warn(sentence)
    if json:
        console.print_json(result.to_json())
    else:
        _print(result, top)


def _print(result: EstimateResult, top: int | None) -> None:
    total = sum(_weight(one) for one in result.operators) or 1
    shown = result.operators
    if top is not None:
        shown = tuple(sorted(shown, key=_weight, reverse=True)[:top])
    rows = [_cells(one, _weight(one) / total) for one in shown]
    console.print_table(_NPU_COLUMNS if result.npu else _MICRO_COLUMNS, rows)
    console.print_line()
    console.print_fields(_npu_fields(result.npu) if result.npu else _micro_fields(result))


def _weight(one: OperatorCost) -> int:
    """What a share is of: an NPU's cycles, else multiply-adds."""
    return one.macs if one.cycles is None else one.cycles


def _cells(one: OperatorCost, share: float) -> tuple[str, ...]:
    time = () if one.cycles is None or one.ms is None else (f"{one.cycles:,}", f"{one.ms:.4f}")
    macs = f"{one.macs * 1e-6:.2f}" if one.macs else ""
    return (
        one.layer or one.name,
        one.op,
        *time,
        f"{100 * share:.1f}",
        macs,
        f"{one.memory_bytes / 1024:.1f}",
    )


def _npu_fields(npu: VelaEstimate) -> dict[str, object]:
    left = ", ".join(f"{one.op} {one.name} ({one.reason})" for one in npu.left)
    return {
        "estimated by": f"ethos-u-vela {npu.version} for {npu.npu.config} at {npu.clock_mhz:g} MHz",
        "inference": f"{npu.latency_ms:.3f} ms, {npu.cycles:,} cycles",
        "SRAM": f"{npu.sram_bytes:,} bytes",
        "flash": f"{npu.flash_bytes:,} bytes",
        "DRAM": f"{npu.dram_bytes:,} bytes",
        "on the NPU": f"{npu.npu_operators} of {npu.npu_operators + npu.cpu_operators} operators",
        "on the processor": left or "nothing",
    }


def _micro_fields(result: EstimateResult) -> dict[str, object]:
    arena = result.arena
    assert arena is not None
    measured = arena.measured_bytes
    return {
        "arena planned": f"{arena.planned_bytes:,} bytes, most at {arena.peak_operator}",
        "arena measured": "not measured"
        if measured is None
        else f"{measured:,} bytes, TensorFlow Lite Micro",
        "with CMSIS-NN": f"{arena.cmsis_nn_bytes:,} bytes planned",
        "flash": f"{result.size_bytes:,} bytes of model",
        "multiply-adds": f"{sum(one.macs for one in result.operators):,}",
        "time": "unknown without the board",
    }
