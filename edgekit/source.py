"""MODEL, as every command takes it: a zoo name, a ``model.toml``, a ``.onnx`` file, or a function.

What the text means is decided here once, without importing torch or onnx.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgekit.errors import InputError, ModelFileError, UnknownNameError
from edgekit.models import zoo
from edgekit.models.network import Network
from edgekit.options import ScaleChange

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ModuleFunction", "OnnxFile", "Source", "build", "call", "parse"]


@dataclass(frozen=True)
class OnnxFile:
    """A user's own ``.onnx`` file, which exists. ``resolution`` is for a file that leaves it open."""

    path: Path
    resolution: int | None = None
    inputs: tuple[tuple[int, ...], ...] | None = None

    @property
    def name(self) -> str:
        return self.path.stem


@dataclass(frozen=True)
class ModuleFunction:
    """A function without arguments that returns a torch module: ``package.module:function``.

    The module takes float32 images ``(1, in_channels, resolution, resolution)``, or ``inputs`` behind a batch
    of 1 each.
    """

    module: str
    function: str
    resolution: int = 224
    in_channels: int = 3
    inputs: tuple[tuple[int, ...], ...] | None = None

    @property
    def name(self) -> str:
        return self.function

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        shapes = self.inputs or ((self.in_channels, self.resolution, self.resolution),)
        return tuple((1, *shape) for shape in shapes)


Source: TypeAlias = Network | OnnxFile | ModuleFunction
"""What MODEL names; each has a ``name`` that artifacts are called after."""


def parse(model: str, change: ScaleChange = ScaleChange()) -> Source:
    """What ``model`` names, with the fields of its scale that ``change`` sets.

    Raises UnknownNameError with the nearest zoo names, ModelFileError for an ``.onnx`` file that is
    missing, InputError for a file or scale that cannot be used, and for a scale that does not apply.
    """
    suffix = Path(model).suffix.lower()
    if change.inputs is not None and suffix != ".onnx" and ":" not in model:
        raise InputError(
            f"input shapes cannot be set for {model}, only for an .onnx file or package.module:function",
            hint="--resolution and --in-channels set those of a network of the zoo",
        )
    if suffix == ".toml":
        from edgekit import model_file  # brings a TOML reader, which names of the zoo do without

        file = model_file.read(Path(model))
        return zoo.network(file.model, change.apply(file.scale))
    if suffix == ".onnx":
        _refuse_scale(model, change, {"resolution", "inputs"})
        if not Path(model).is_file():
            raise ModelFileError(f"{model} does not exist, expected an .onnx file", hint="check the path")
        return OnnxFile(Path(model), change.resolution, change.inputs)
    if ":" in model:
        _refuse_scale(model, change, {"resolution", "in_channels", "inputs"})
        return _function(model, change)
    if model not in zoo.names():
        raise UnknownNameError("model", model, zoo.names())
    return zoo.network(model, change.apply(zoo.default_scale(model)))


def build(model: str | Path | Network, scale: ScaleChange = ScaleChange()) -> nn.Module:
    """The torch module of ``model``, with fresh weights to train: a zoo name, a ``model.toml``, a Network.

    A function's module is returned as the function made it. Raises what :func:`parse` raises, InputError
    for an ``.onnx`` file, and MissingExtraError without torch.
    """
    parsed = model if isinstance(model, Network) else parse(str(model), scale)
    if isinstance(parsed, Network):
        from edgekit.models import module  # brings torch

        return module.build(parsed, training=True)
    if isinstance(parsed, ModuleFunction):
        return call(parsed)
    raise InputError(f"{model} cannot be built as a torch module, expected a network of the zoo")


def call(source: ModuleFunction) -> nn.Module:
    """The module that the function returns. Modules in the current folder can be imported.

    Raises InputError, naming what went wrong in the user's code, when there is none.
    """
    text = f"{source.module}:{source.function}"
    try:
        with _current_folder_importable():
            module: nn.Module = getattr(importlib.import_module(source.module), source.function)()
    except Exception as exc:  # the user's own code may raise anything
        raise InputError(
            f"{text} gave {type(exc).__name__}: {exc}, expected a torch module",
            hint="--debug shows where",
        ) from exc
    if not callable(getattr(module, "named_parameters", None)):
        raise InputError(f"{text} returned a {type(module).__name__}, expected a torch module")
    return module


def _refuse_scale(model: str, change: ScaleChange, allowed: set[str]) -> None:
    refused = [name for name, value in vars(change).items() if value is not None and name not in allowed]
    if refused:
        raise InputError(
            f"{' and '.join(refused)} cannot be set for {model}, only for networks of the zoo",
            hint=f"known: {', '.join(zoo.names())}",
        )


def _function(model: str, change: ScaleChange) -> ModuleFunction:
    module, _, function = model.partition(":")
    if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise InputError(f"model is {model!r}, expected package.module:function")
    given = {name: value for name, value in vars(change).items() if value is not None}
    return ModuleFunction(module, function, **given)


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    # The script that starts edgekit has its own folder first in the path, not the user's.
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.pop(0)
