"""The ONNX project's own node tests through the TFLite path; the benchmark counts all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edgekit.errors import EdgekitError, GraphError
from node_cases import check, node_cases

_EVERY = 4  # of the cases, which keeps the test short
_PASSED = 110  # of those, at least


def test_node_cases_pass_or_are_refused_by_name(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for index, case in enumerate(node_cases()):
        if index % _EVERY:
            continue
        try:
            passed = check(case, tmp_path)
        except GraphError as exc:
            pytest.fail(f"{case.name}: {exc}")
        except EdgekitError:
            outcomes["refused"] += 1
            continue
        assert passed, f"{case.name} answers with other numbers"
        outcomes["passed"] += 1
    assert outcomes["passed"] >= _PASSED
