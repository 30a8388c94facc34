"""Every network of the zoo as it was published, from torch to the three runtimes: ``python zoo_sweep.py``.

Random weights, one thread, one network after another. fp32 files answer within 1e-4 of torch, relative to
the largest logit; int8 files like their quantized graph; no TFLite file has a TRANSPOSE, and XNNPACK takes
the int8 one whole where it has its operators. The exit code is 1 if a network misses one of these.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import onnx
import onnx_ir as ir
import torch

from edgekit.capture import capture
from edgekit.cli import console
from edgekit.models import zoo
from edgekit.models.module import build
from renderings import FORMATS, Renderings, render_all

_NOT_IN_XNNPACK = {
    "alexnet_two_towers": {"LOCAL_RESPONSE_NORMALIZATION"},
    "zfnet": {"LOCAL_RESPONSE_NORMALIZATION"},
}
_HEAD = ("name", "px", "fp32 error", "int8 dB", "of fp32", "transposes", "XNNPACK", "s", "")


def main() -> int:
    """Print a line for each network; 1 if one misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", nargs="*", default=list(zoo.names()), help="by default all")
    parser.add_argument("--images", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    console.print_line(_line(_HEAD))
    missed = 0
    for name in options.name:
        start = time.process_time()
        found, pixels = _sweep(name, options.images)
        met = found.agree and not found.transposes and _is_whole(name, found)
        missed += not met
        seconds = f"{time.process_time() - start:.0f}"
        console.print_line(_line((name, str(pixels), *_cells(found), seconds, "" if met else "MISSED")))
        for refusal in found.refused:
            console.print_line(f"    {refusal}")
    console.print_line(f"{len(options.name)} networks, {missed} missed")
    return int(bool(missed))


def _sweep(name: str, count: int) -> tuple[Renderings, int]:
    network = zoo.network(name)
    module = build(network)
    images = np.random.default_rng(0).standard_normal((count, *network.input_shape)).astype(np.float32)
    with torch.no_grad():
        answers = np.concatenate([module(torch.from_numpy(image[None])).numpy() for image in images])
    proto: onnx.ModelProto = ir.to_proto(capture(module, (1, *network.input_shape), method="fx"))
    del module
    with tempfile.TemporaryDirectory() as folder:
        return render_all(
            lambda: ir.from_proto(proto), images, answers, Path(folder)
        ), network.scale.resolution


def _is_whole(name: str, found: Renderings) -> bool:
    return set(found.left) == _NOT_IN_XNNPACK.get(name, set()) and found.partitions == 1 + len(found.left)


def _cells(found: Renderings) -> tuple[str, ...]:
    errors = " ".join(f"{found.errors.get(name, float('nan')):.0e}" for name in FORMATS)
    levels = " ".join(f"{found.sqnr_db.get(name, float('nan')):.0f}" for name in FORMATS)
    taken = f"{found.partitions} part" + (f" {' '.join(sorted(set(found.left)))}" if found.left else "")
    return errors, levels, f"{found.quantized_db:.0f}", str(found.transposes), taken


def _line(cells: tuple[str, ...]) -> str:
    widths = (33, 4, 20, 12, 8, 11, 8, 5, 0)
    return " ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
