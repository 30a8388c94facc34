"""Mutated files: only typed errors. The benchmark does this for minutes, with more of them."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from fuzzing import SEEDS, mutations, survives


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("onnx_ir").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("index", range(len(SEEDS)))
def test_the_originals_can_be_made(tmp_path: Path, index: int) -> None:
    assert survives(SEEDS[index]().SerializeToString(), tmp_path) == "made"


@pytest.mark.filterwarnings("ignore")
def test_mutations_raise_typed_errors_only(tmp_path: Path) -> None:
    outcomes = Counter(survives(data, tmp_path) for data in islice(mutations(5), 150))
    assert outcomes["GraphError"] == 0, outcomes
    assert outcomes["ModelFileError"] > 0
