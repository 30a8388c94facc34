"""The table of stages, and that each can be switched off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.errors import InputError, UnknownNameError
from edgekit.quantize import QuantizeOptions
from edgekit.quantize.options import CONDITIONING, STAGES, check_stages
from edgekit.quantize.stages import explain_stages, quantize_in_stages
from graphs import NETWORKS, FloatArray, GraphBuilder


def network() -> ir.Model:
    b = GraphBuilder([1, 3, 24, 24])
    return b.model(NETWORKS["plain"](b))


def pictures(count: int, seed: int = 0) -> list[FloatArray]:
    random = np.random.default_rng(seed)
    return list(random.standard_normal((count, 1, 3, 24, 24)).astype(np.float32))


def test_there_is_a_row_for_each_stage_between_all_and_none() -> None:
    seen: list[tuple[str, int, int]] = []
    rows = explain_stages(
        network(), pictures(6), pictures(6, seed=1), progress=lambda *event: seen.append(event)
    )
    assert [row.name for row in rows] == ["all stages", *STAGES, "no stage"]
    assert [row.skipped for row in rows] == [(), *((stage,) for stage in STAGES), tuple(STAGES)]
    assert all(row.sqnr_db > 20 and 0 <= row.agreement <= 100 and row.seconds > 0 for row in rows)
    assert seen[-1] == ("stages", len(rows), len(rows))


def test_without_images_to_score_on_there_is_no_table() -> None:
    with pytest.raises(InputError, match="no image is left"):
        explain_stages(network(), pictures(2), [])


@pytest.mark.parametrize("stage", sorted(set(STAGES) - CONDITIONING))
def test_a_stage_that_is_left_out_changes_the_options(stage: str) -> None:
    assert QuantizeOptions().without([stage]) != QuantizeOptions()


def test_all_stages_left_out_is_plain_rounding() -> None:
    plain = QuantizeOptions(
        ranges="minmax",
        rounding="nearest",
        weight_scales="largest",
        gain_correction=False,
        bias_correction=False,
        pair_sums=False,
    )
    assert QuantizeOptions().without(STAGES) == plain
    assert replace(QuantizeOptions()).without([]) == QuantizeOptions()


def test_an_unknown_stage_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownNameError, match="equalise") as caught:
        check_stages(["equalise"])
    assert "equalize" in caught.value.hint


def test_the_stages_repeat_themselves() -> None:
    once, again = (quantize_in_stages(network(), pictures(4), QuantizeOptions()).model for _ in range(2))
    assert ir.to_proto(once).SerializeToString() == ir.to_proto(again).SerializeToString()
