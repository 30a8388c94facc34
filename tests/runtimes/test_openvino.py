"""The OpenVINO runner: ports, errors, and what it executes in integers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13

from edgekit.errors import InputError, MissingExtraError, ModelFileError
from edgekit.runtimes import load
from edgekit.runtimes.openvino import OpenvinoRunner, integer_coverage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A 1 × 1 convolution of ``image`` [1, 8, 4, 4] by a constant to ``logits``, in float32."""
    image = opset13.parameter([1, 8, 4, 4], np.float32, name="image")
    image.output(0).set_names({"image"})
    weights = opset13.constant(np.random.default_rng(0).standard_normal((8, 8, 1, 1)).astype(np.float32))
    result = opset13.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    result.output(0).set_names({"logits"})
    model = openvino.Model([opset13.result(result)], [image], "net")
    openvino.save_model(model, str(tmp_path / "net.xml"), compress_to_fp16=False)
    return tmp_path / "net.xml"


def test_a_runner_names_and_runs(path: Path) -> None:
    runner = load(path, num_threads=2)
    assert isinstance(runner, OpenvinoRunner)
    assert runner.runtime == "openvino"
    assert openvino.__version__.startswith(runner.version)
    assert (runner.input.name, runner.input.shape, runner.input.dtype) == ("image", (1, 8, 4, 4), "float32")
    assert (runner.output.name, runner.output.shape) == ("logits", (1, 8, 4, 4))
    weights = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    x = np.random.default_rng(1).standard_normal((1, 8, 4, 4)).astype(np.float32)
    # bfloat16, which the CPU plugin prefers where the CPU has it, would be wrong by some 1e-2.
    assert runner.run(x) == pytest.approx(np.einsum("oi,nihw->nohw", weights, x), abs=1e-5)


def test_results_survive_the_next_run(path: Path) -> None:
    runner = load(path)
    first = runner.run(np.ones((1, 8, 4, 4), np.float32))
    kept = first.copy()
    runner.run(np.zeros((1, 8, 4, 4), np.float32))
    assert np.array_equal(first, kept)
    assert first.any()


def test_wrong_feeds_are_refused(path: Path) -> None:
    with pytest.raises(InputError, match="float64"):
        load(path).run(np.zeros((1, 8, 4, 4)))
    with pytest.raises(InputError, match="num_threads is 0"):
        load(path, num_threads=0)


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
@pytest.mark.parametrize("keep", [0, 100])
def test_damaged_files_are_refused(path: Path, suffix: str, keep: int) -> None:
    damaged = path.with_suffix(suffix)
    damaged.write_bytes(damaged.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match="net") as caught:
        load(path)
    assert caught.value.hint


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_missing_half_is_named(path: Path, suffix: str) -> None:
    path.with_suffix(suffix).unlink()
    with pytest.raises(ModelFileError, match=rf"net\{suffix} is not a file"):
        load(path)


def test_a_missing_package_names_its_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError) as caught:
        load(path)
    assert caught.value.hint == "pip install 'edgekit[openvino]'"


def test_a_float_file_is_not_covered(path: Path) -> None:
    coverage = integer_coverage(path)
    assert not coverage.is_complete
    assert coverage.float_ops == {"Convolution": 1}


@pytest.mark.parametrize("op", ["add", "multiply"])
def test_float_sums_are_told_from_other_float_operators(tmp_path: Path, op: str) -> None:
    image = opset13.parameter([1, 8, 4, 4], np.float32, name="image")
    one, other = (
        opset13.max_pool(image, [1, 1], [1, 1], [0, 0], [0, 0], [size, size], auto_pad="same_upper").output(0)
        for size in (2, 3)
    )
    joined = getattr(opset13, op)(one, other)
    weights = opset13.constant(np.random.default_rng(0).standard_normal((8, 8, 1, 1)).astype(np.float32))
    result = opset13.convolution(joined, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    model = openvino.Model([opset13.result(result)], [image], "net")
    openvino.save_model(model, str(tmp_path / "net.xml"), compress_to_fp16=False)
    coverage = integer_coverage(tmp_path / "net.xml")
    assert coverage.float_sums == (op == "add")
