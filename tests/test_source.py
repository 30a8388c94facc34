"""What MODEL may be, and which part of a scale applies to it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from edgekit import model_file, source
from edgekit.errors import EdgekitError, InputError, ModelFileError, UnknownNameError
from edgekit.models import zoo
from edgekit.options import Scale, ScaleChange
from edgekit.source import ModuleFunction, OnnxFile

MODULE = """
from torch import nn

def build():
    return nn.Conv2d(3, 4, 1)

def wrong():
    return "a string"

def broken():
    raise RuntimeError("no weights")
"""


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current folder, which is not in the interpreter's path."""
    (tmp_path / "user_networks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "user_networks", raising=False)
    return "user_networks"


@pytest.mark.parametrize("name", zoo.names())
def test_a_zoo_name_is_its_network(name: str) -> None:
    assert source.parse(name) == zoo.network(name)


def test_a_scale_applies_to_a_zoo_name() -> None:
    change = ScaleChange(width=0.5, num_classes=7)
    assert source.parse("mobilenet_v2", change) == zoo.network("mobilenet_v2", width=0.5, num_classes=7)


def test_a_model_file_is_the_network_that_it_describes(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    model_file.write(path, "efficientnet_b0", Scale(width=1.1, depth=1.2, resolution=160))
    parsed = source.parse(str(path), ScaleChange(num_classes=3))
    assert parsed == zoo.network("efficientnet_b0", Scale(1.1, 1.2, 160, num_classes=3))


def test_an_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "net.ONNX"
    path.write_bytes(b"")
    assert source.parse(str(path)) == OnnxFile(path)
    assert source.parse(str(path), ScaleChange(resolution=96)) == OnnxFile(path, 96)
    assert OnnxFile(path).name == "net"


def test_a_function() -> None:
    assert source.parse("package.networks:build") == ModuleFunction("package.networks", "build")
    parsed = source.parse("networks:build", ScaleChange(resolution=96, in_channels=1))
    assert parsed == ModuleFunction("networks", "build", 96, 1)
    assert isinstance(parsed, ModuleFunction)
    assert (parsed.name, parsed.input_shapes) == ("build", ((1, 1, 96, 96),))


@pytest.mark.parametrize(
    ("model", "change", "error", "message"),
    [
        ("mobilenet_v9", ScaleChange(), UnknownNameError, "unknown model"),
        ("missing.onnx", ScaleChange(), ModelFileError, r"missing\.onnx does not exist"),
        ("missing.toml", ScaleChange(), InputError, r"cannot read missing\.toml"),
        ("a b:c", ScaleChange(), InputError, "expected package.module:function"),
        ("networks:", ScaleChange(), InputError, "expected package.module:function"),
        ("networks:build", ScaleChange(width=0.5), InputError, "width cannot be set"),
        ("net.onnx", ScaleChange(depth=2.0, num_classes=3), InputError, "depth and num_classes cannot"),
        ("mobilenet_v2", ScaleChange(resolution=0), InputError, "resolution is 0"),
    ],
)
def test_what_cannot_be_used(
    model: str, change: ScaleChange, error: type[EdgekitError], message: str
) -> None:
    with pytest.raises(error, match=message):
        source.parse(model, change)


def test_a_function_of_the_current_folder_is_called(user_module: str) -> None:
    module = source.call(ModuleFunction(user_module, "build"))
    assert {name: tuple(value.shape) for name, value in module.named_parameters()} == {
        "weight": (4, 3, 1, 1),
        "bias": (4,),
    }
    assert str(Path.cwd()) not in sys.path


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("wrong", "returned a str, expected a torch module"),
        ("broken", "gave RuntimeError: no weights"),
        ("none", "gave AttributeError"),
    ],
)
def test_a_function_that_gives_no_module(user_module: str, function: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        source.call(ModuleFunction(user_module, function))


def test_a_module_that_cannot_be_imported() -> None:
    with pytest.raises(InputError, match=r"gave ModuleNotFoundError: .*no_such_package"):
        source.call(ModuleFunction("no_such_package.networks", "build"))


def test_a_network_to_train_has_its_auxiliary_classifiers() -> None:
    module = source.build("googlenet", ScaleChange(width=0.125, resolution=224, num_classes=4)).train()
    with torch.no_grad():
        answers = module(torch.zeros(2, 3, 224, 224))
        assert [tuple(answer.shape) for answer in answers] == [(2, 4)] * 3
        assert module.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 4)
