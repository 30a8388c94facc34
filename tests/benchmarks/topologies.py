"""The topologies that the onnx package ships, through every format, fp32 and int8: ``python topologies.py``.

Each with the constant weights that its file computes and again with random ones, against onnxruntime on the
file itself. The exit code is 1 if one does not convert or does not agree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import numpy.typing as npt
import onnxruntime

from edgekit.capture import load_onnx
from edgekit.cli import console
from light_models import LIGHT_MODELS, with_random_weights
from renderings import FORMATS, Renderings, render_all

_WITHOUT_AN_ANSWER = {("light_squeezenet", "constant")}
"""Its 1000 equal logits are 6.8e9, where float32 has every 512th number: they differ by three of these in
OpenVINO, which rounds sums of another order, and softmax makes one class of it."""

_HEAD = "topology          weights   fp32 error            int8 dB      of fp32  transposes  s"


def main() -> int:
    """Print a line for each topology and kind of weights; 1 if one misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="topologies whose name holds this")
    parser.add_argument("--weights", choices=["constant", "random"], help="by default both")
    parser.add_argument("--images", type=int, default=2)
    options = parser.parse_args()
    console.print_line(_HEAD)
    missed = 0
    for path in LIGHT_MODELS:
        for weights in [options.weights] if options.weights else ["constant", "random"]:
            if options.only in path.stem:
                missed += not _report(path, weights, options.images)
    console.print_line(f"{missed} missed")
    return int(bool(missed))


def _report(path: Path, weights: str, count: int) -> bool:
    start = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / path.name
        source.write_bytes(
            path.read_bytes() if weights == "constant" else with_random_weights(path).SerializeToString()
        )
        images = np.random.default_rng(0).standard_normal((count, 3, 224, 224)).astype(np.float32)
        answers = _answers(source, images)
        found = render_all(lambda: load_onnx(source), images, answers, folder)
    is_known = (path.stem, weights) in _WITHOUT_AN_ANSWER
    met = (found.agree or is_known) and not found.transposes
    seconds = time.process_time() - start
    verdict = "" if found.agree and met else "no answer in float32" if met else "MISSED"
    console.print_line(_line(path.stem.removeprefix("light_"), weights, found, seconds, verdict))
    for refusal in found.refused:
        console.print_line(f"    {refusal}")
    return met


def _answers(source: Path, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(source), options)
    given = session.get_inputs()[0].name
    return np.stack([session.run(None, {given: image[None]})[0].reshape(-1) for image in images])


def _line(name: str, weights: str, found: Renderings, seconds: float, verdict: str) -> str:
    errors = " ".join(f"{found.errors.get(one, float('nan')):.0e}" for one in FORMATS)
    levels = " ".join(f"{found.sqnr_db.get(one, float('nan')):.0f}" for one in FORMATS)
    return (
        f"{name:17} {weights:9} {errors:21} {levels:12} {found.quantized_db:<8.0f} {found.transposes:<11} "
        f"{seconds:<4.0f}{verdict}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
