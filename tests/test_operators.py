"""The table of operators: whole, and the page in the docs made of it."""

from __future__ import annotations

from pathlib import Path

import onnx.defs
import pytest

from edgekit.emit.tflite.registry import FLOAT_ONLY, LOWERINGS
from edgekit.graph.ops import OPERATORS, operator_of
from edgekit.graph.support import LIMITS, WAYS_AROUND
from edgekit.operators import page, supported_operators

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_page_is_current() -> None:
    assert (DOCS / "operators.md").read_text(encoding="utf-8") == page(), "run python -m edgekit.operators"


def test_every_row_is_an_operator_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    assert {row.op_type for row in supported_operators()} <= known
    assert {*LIMITS, *WAYS_AROUND} <= known


def test_what_has_a_way_around_is_not_supported() -> None:
    supported = {row.op_type for row in supported_operators() if row.graph in ("as it is", "rewritten")}
    assert not supported & set(WAYS_AROUND)
    assert set(LIMITS) <= {row.op_type for row in supported_operators()}


def test_tables_agree() -> None:
    assert set(LOWERINGS) <= set(OPERATORS)
    assert set(FLOAT_ONLY) <= set(LOWERINGS)
    for row in supported_operators():
        if row.graph == "as it is":
            assert row.int8 in ("int8", "float32"), row.op_type


def test_the_error_says_what_to_do() -> None:
    import onnx_ir as ir

    from edgekit.errors import UnsupportedError

    node = ir.node("NonMaxSuppression", [], name="boxes")
    with pytest.raises(UnsupportedError, match="NonMaxSuppression of node 'boxes'") as caught:
        operator_of(node)
    assert caught.value.hint == WAYS_AROUND["NonMaxSuppression"]
