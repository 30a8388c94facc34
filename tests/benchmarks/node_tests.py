"""Count the ONNX project's backend node tests that pass through our TFLite path: ``python node_tests.py``.

Every case is passed, refused by a typed error that names what is missing, or failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from edgekit.cli import console
from edgekit.errors import EdgekitError, GraphError
from node_cases import check, node_cases


def main() -> int:
    """Print counts by operator, then in all; 1 if a case failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--refused", action="store_true", help="print each refusal")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as folder:
        for case in node_cases():
            if options.only not in case.name:
                continue
            try:
                outcome = "passed" if check(case, Path(folder)) else "failed"
                reason = "wrong numbers"
            except GraphError as exc:
                outcome, reason = "failed", str(exc)
            except EdgekitError as exc:
                outcome, reason = "refused", str(exc)
            except Exception as exc:
                outcome, reason = "failed", f"{type(exc).__name__}: {exc}"
            counts[case.op_type][outcome] += 1
            if outcome == "failed" or (options.refused and outcome == "refused"):
                console.print_line(f"{outcome}: {case.name}: {reason.splitlines()[0][:200]}")
    for op_type in sorted(op for op, found in counts.items() if found["passed"]):
        found = counts[op_type]
        console.print_line(
            f"{op_type:24} passed {found['passed']:3}  refused {found['refused']:3}  failed {found['failed']}"
        )
    total = sum(counts.values(), Counter[str]())
    console.print_line(
        f"passed {total['passed']}, refused by name {total['refused']}, failed {total['failed']}"
    )
    return int(bool(total["failed"]))


if __name__ == "__main__":
    raise SystemExit(main())
