"""Give edgekit mutated ONNX files for a while: ``python fuzz_onnx.py --seconds 600``.

Files are loaded, brought into canonical form and lowered to TFLite in a child process. Whatever is not a
typed error about the file counts: another exception, a GraphError, which is a defect of a pass, a crash of
native code, a file that takes a minute, and one that takes 2 GB. Such files are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from edgekit.cli import console
from fuzzing import mutations, survives

_HANG_SECONDS = 60.0
_START_SECONDS = 300.0
_MOST_MB = 2048


def main() -> int:
    """Print what came of the files; 1 if anything but typed errors did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="where findings are kept")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        _work(options.worker, options.seed, options.seconds)
        return 0
    outcomes: Counter[str] = Counter()
    peak_mb, end, seed = 0, time.monotonic() + options.seconds, options.seed
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            death = _run(folder, seed, end - time.monotonic())
            state = (
                json.loads((folder / "state.json").read_text()) if (folder / "state.json").exists() else {}
            )
            outcomes.update(state.get("outcomes", {}))
            peak_mb = max(peak_mb, state.get("peak_mb", 0))
            if death:
                outcomes[death] += 1
            for path in [*folder.glob("finding-*.onnx"), *(folder.glob("current.onnx") if death else [])]:
                options.keep.mkdir(exist_ok=True)
                (options.keep / f"{seed}-{path.name}").write_bytes(path.read_bytes())
        seed += 1
    bad = sum(count for outcome, count in outcomes.items() if outcome.startswith("!"))
    for outcome, count in outcomes.most_common():
        console.print_line(f"{outcome:60} {count}")
    console.print_line(f"{sum(outcomes.values())} files, {bad} findings, peak memory {peak_mb} MB")
    return int(bool(bad))


def _run(folder: Path, seed: int, seconds: float) -> str:
    """One child until its time is over; how it died, or an empty text."""
    arguments = ["--worker", str(folder), "--seed", str(seed), "--seconds", str(seconds)]
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, *arguments],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    beat = folder / "current.onnx"
    started = time.time()
    while child.poll() is None:
        time.sleep(0.5)
        # Before the first file it imports, which takes long on a busy machine.
        last = beat.stat().st_mtime if beat.exists() else started + _START_SECONDS
        if time.time() - last > _HANG_SECONDS:
            child.kill()
            child.wait()
            return "!hang"
    return "" if child.returncode == 0 else f"!exit {child.returncode}"


def _work(folder: Path, seed: int, seconds: float) -> None:
    import logging

    logging.disable(logging.CRITICAL)
    outcomes: Counter[str] = Counter()
    end, saved, most_mb = time.monotonic() + seconds, 0.0, _MOST_MB
    for index, data in enumerate(mutations(seed)):
        if time.monotonic() > end:
            break
        (folder / "current.onnx").write_bytes(data)
        try:
            outcome = survives(data, folder)
            if outcome == "GraphError":
                outcome = "!GraphError"
                (folder / f"finding-{index}.onnx").write_bytes(data)
            outcomes[outcome] += 1
        except Exception as exc:
            place = traceback.extract_tb(exc.__traceback__)[-1]
            outcomes[f"!{type(exc).__name__} in {Path(place.filename).name}:{place.lineno}"] += 1
            (folder / f"finding-{index}.onnx").write_bytes(data)
        if _peak_mb() > most_mb:
            most_mb = _peak_mb()  # of the process: only a file that takes more still counts as another
            outcomes["!memory"] += 1
            (folder / f"finding-{index}.onnx").write_bytes(data)
        if time.monotonic() - saved > 1:
            saved = time.monotonic()
            _save(folder, outcomes)
    _save(folder, outcomes)


def _save(folder: Path, outcomes: Counter[str]) -> None:
    state = {"outcomes": outcomes, "peak_mb": _peak_mb()}
    (folder / "state.json").write_text(json.dumps(state))


def _peak_mb() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    raise SystemExit(main())
