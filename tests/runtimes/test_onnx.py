"""The onnxruntime runner: ports, errors, and what it executes in integers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.errors import InputError, MissingExtraError, ModelFileError
from edgekit.runtimes import load
from edgekit.runtimes.onnx import OnnxRunner
from edgekit.runtimes.onnx_coverage import integer_coverage


def write(path: Path, nodes: list[onnx.NodeProto], **constants: object) -> Path:
    """A model of ``image`` [1, 2, 4, 4] to ``logits``."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 2, 4, 4])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", [image], [logits], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """``logits = 2 · image``."""
    return write(tmp_path / "net.onnx", [helper.make_node("Add", ["image", "image"], ["logits"])])


def test_a_runner_names_and_runs(path: Path) -> None:
    runner = load(path, num_threads=2)
    assert isinstance(runner, OnnxRunner)
    assert runner.runtime == "onnx"
    assert runner.version.count(".") == 2
    assert (runner.input.name, runner.input.shape, runner.input.dtype) == ("image", (1, 2, 4, 4), "float32")
    assert runner.input.scale is None
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)
    assert np.array_equal(runner.run(x), 2 * x)
    assert runner.run_named({"image": x}).keys() == {"logits"}


def test_free_dimensions_take_any_size(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([helper.make_node("Neg", ["image"], ["logits"])], "net", [image], [logits])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "net.onnx"))
    runner = load(tmp_path / "net.onnx")
    assert runner.input.shape == (-1, 3)
    assert runner.run(np.ones((5, 3), np.float32)).shape == (5, 3)
    with pytest.raises(InputError, match=r"expected float32 \[-1, 3\]"):
        runner.run(np.ones((5, 4), np.float32))


@pytest.mark.parametrize("wrong", [np.zeros((1, 2, 4, 4)), np.zeros((1, 2, 4), np.float32)])
def test_wrong_arrays_are_refused(path: Path, wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"expected float32 \[1, 2, 4, 4\]"):
        load(path).run(wrong)


def test_wrong_names_are_refused(path: Path) -> None:
    with pytest.raises(InputError, match="picture"):
        load(path).run_named({"picture": np.zeros((1, 2, 4, 4), np.float32)})


def test_several_inputs_have_no_single_one(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("a", "b", "c")]
    node = helper.make_node("Add", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "net", ports[:2], ports[2:])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "net.onnx"))
    runner = load(tmp_path / "net.onnx")
    one = np.ones(2, np.float32)
    assert runner.run_named({"a": one, "b": one})["c"].tolist() == [2, 2]
    with pytest.raises(InputError, match=r"2 inputs \['a', 'b'\]"):
        _ = runner.input


@pytest.mark.parametrize("keep", [0, 5, 60])
def test_damaged_files_are_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match=r"net\.onnx") as caught:
        load(path)
    assert caught.value.hint


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x89PNG\r\n\x1a\n" * 50)
    with pytest.raises(ModelFileError):
        load(tmp_path / "net.onnx")


def test_unknown_operators_are_refused(tmp_path: Path) -> None:
    node = helper.make_node("Mystery", ["image"], ["logits"], domain="some.where")
    with pytest.raises(ModelFileError, match="Mystery"):
        load(write(tmp_path / "net.onnx", [node]))


def test_a_missing_package_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="onnxruntime") as caught:
        load(path)
    assert caught.value.hint == "pip install onnxruntime"


def _pair(source: str, name: str) -> list[onnx.NodeProto]:
    parameters = ["scale", "zero"]
    return [
        helper.make_node("QuantizeLinear", [source, *parameters], [f"{name}.q"]),
        helper.make_node("DequantizeLinear", [f"{name}.q", *parameters], [name]),
    ]


def test_a_float_island_is_seen(tmp_path: Path) -> None:
    constants = {"scale": np.float32(0.1), "zero": np.uint8(128)}
    add = helper.make_node("Add", ["x", "x"], ["sum"])
    whole = [*_pair("image", "x"), add, *_pair("sum", "logits")]
    complete = integer_coverage(write(tmp_path / "whole.onnx", whole, **constants))
    assert complete.is_complete
    assert complete.integer_ops == {"QLinearAdd": 1}
    assert complete.boundary_conversions == 2
    tanh = helper.make_node("Tanh", ["y"], ["t"])
    island = [*_pair("image", "x"), add, *_pair("sum", "y"), tanh, *_pair("t", "z")]
    island.append(helper.make_node("Mul", ["z", "z"], ["product"]))
    broken = integer_coverage(
        write(tmp_path / "island.onnx", [*island, *_pair("product", "logits")], **constants)
    )
    assert not broken.is_complete
    assert broken.float_ops == {"Tanh": 1}
    assert broken.inner_conversions == 2


def test_a_float_file_is_not_covered(path: Path) -> None:
    coverage = integer_coverage(path)
    assert not coverage.is_complete
    assert coverage.float_ops == {"Add": 1}
