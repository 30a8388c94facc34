"""The LiteRT runner: specs, errors, and what its delegate takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.errors import InputError, ModelFileError
from edgekit.graph.ops import infer_types
from edgekit.runtimes import load
from edgekit.runtimes.tflite import TfliteRunner, delegated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """``logits = HardSwish(Relu(image) + image)``, which float kernels all delegate."""
    image = ir.val("image", dtype=ir.DataType.FLOAT, shape=ir.Shape([1, 3, 4, 5]))
    relu = ir.node("Relu", [image], name="relu")
    total = ir.node("Add", [relu.outputs[0], image], name="total")
    output = ir.node("HardSwish", [total.outputs[0]], name="logits")
    for node in (relu, total, output):
        node.outputs[0].name = node.name
        infer_types(node)
    graph = ir.Graph([image], output.outputs, nodes=[relu, total, output], opset_imports={"": 18})
    return emit(ir.Model(graph, ir_version=10), tmp_path / "net.tflite", "tflite", EmitOptions()).path


def test_a_runner_names_and_runs(path: Path) -> None:
    runner = load(path, num_threads=2)
    assert isinstance(runner, TfliteRunner)
    assert (runner.input.name, runner.input.shape, runner.input.dtype) == ("image", (1, 4, 5, 3), "float32")
    assert runner.output.scale is None
    x = np.random.default_rng(0).standard_normal((1, 4, 5, 3)).astype(np.float32)
    y = np.maximum(x, 0) + x
    assert runner.run(x) == pytest.approx(y * np.clip(y + 3, 0, 6) / 6, abs=1e-5)
    assert runner.run_named({"image": x}).keys() == {"logits"}


def test_results_survive_the_next_run(path: Path) -> None:
    runner = load(path)
    first = runner.run(np.ones((1, 4, 5, 3), np.float32))
    kept = first.copy()
    runner.run(np.zeros((1, 4, 5, 3), np.float32))
    assert np.array_equal(first, kept)


def test_wrong_feeds_are_refused(path: Path) -> None:
    runner = load(path)
    with pytest.raises(InputError, match="float64"):
        runner.run(np.zeros((1, 4, 5, 3)))
    with pytest.raises(InputError, match="image"):
        runner.run_named({"picture": np.zeros((1, 4, 5, 3), np.float32)})


@pytest.mark.parametrize("keep", [0, 12, 400])
def test_damaged_files_are_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        load(tmp_path / "none.tflite")


def test_delegation_is_counted(path: Path) -> None:
    report = delegated(path)
    assert (report.total_ops, report.delegated, report.partitions, report.left) == (3, 3, 1, ())


def test_loading_prints_nothing(path: Path) -> None:
    code = f"from edgekit.runtimes import load; load({str(path)!r})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
