"""Networks of the user's own through the whole export: three formats, fp32 and int8."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import edgekit
from edgekit import runtimes, source
from edgekit.capture import capture
from edgekit.graph.run import GraphRunner
from edgekit.options import ExportOptions, Precision, ScaleChange
from own_networks import NETWORKS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

_LEAST_SQNR_DB = {"fp32": 80.0, "int8": 15.0}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_answers_like_the_module(name: str) -> None:
    build, shapes = NETWORKS[name]
    torch.manual_seed(0)
    module = build().eval()
    arrays = [
        np.random.default_rng(i).standard_normal((1, *s)).astype(np.float32) for i, s in enumerate(shapes)
    ]
    with torch.no_grad():
        wanted = module(*map(torch.from_numpy, arrays))
    model = capture(module, *(array.shape for array in arrays))
    names = [value.name or "" for value in model.graph.inputs]
    found = GraphRunner(model).run(dict(zip(names, arrays, strict=True)))
    for got, want in zip(found.values(), wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=2e-5 * float(want.abs().max()))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_format_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, precision: Precision
) -> None:
    build, shapes = NETWORKS[name]
    torch.manual_seed(0)
    monkeypatch.setattr(source, "call", lambda _source: build())
    options = ExportOptions(
        target="all", precision=precision, out_dir=tmp_path, scale=ScaleChange(inputs=shapes), samples=4
    )
    result = edgekit.export(f"own_networks:{name}", options)
    assert [artifact.format for artifact in result.artifacts] == ["tflite", "onnx", "openvino"]
    for artifact in result.artifacts:
        assert artifact.parity.sqnr_db > _LEAST_SQNR_DB[precision], artifact.format
        runner = runtimes.load(artifact.path)
        assert len(runner.inputs) == len(shapes)
        assert len(runner.outputs) == 1 + len(artifact.more_outputs)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert len(manifest["artifacts"][0].get("more_inputs", [])) == len(shapes) - 1
    if precision == "fp32":
        # Joining levels of a pyramid along their flattened images needs one; nothing else does.
        assert result.artifacts[0].transposes == (1 if name == "pyramid" else 0)
