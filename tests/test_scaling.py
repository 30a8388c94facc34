"""``scale`` and ``build`` as functions."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgekit
from edgekit import ScaleOptions
from edgekit.errors import InputError
from edgekit.models.cost import cost
from edgekit.scaling import write_model


def test_the_result_says_what_binds_and_what_it_is_worth() -> None:
    result = edgekit.scale(ScaleOptions(["30ms", "3Mparams"], target="pixel4"))
    best = result.candidates[0]
    share, budget = result.binds(best)
    assert 0.97 <= share <= 1
    assert budget in result.budgets
    latency = result.latency(best)
    assert latency is not None
    assert latency.latency_ms == pytest.approx(best.latency_ms)
    assert result.accuracy(best).top1 == best.top1
    assert next(iter(result.best_of_families().values())) is best
    assert result.configurations >= len(result.meeting) >= len(result.front) > 0


def test_what_was_found_can_be_built_and_counted(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="networks are built with torch")
    best = edgekit.scale(ScaleOptions(["20MMACs"], families=["mobilenet_v2"])).candidates[0]
    write_model(tmp_path / "model.toml", best)
    for model in (tmp_path / "model.toml", str(tmp_path / "model.toml"), best.network):
        built = edgekit.build(model)
        assert sum(parameter.numel() for parameter in built.parameters()) == best.params
    assert cost(best.network).macs == best.macs


def test_an_onnx_file_is_not_built(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be built"):
        edgekit.build(tmp_path / "model.onnx")
