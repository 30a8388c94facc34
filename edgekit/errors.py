"""Every error that edgekit raises on purpose.

The tree::

    EdgekitError
    ├── InputError             what the caller gave cannot be used (exit code 2)
    │   ├── UnknownNameError       no such model, target, runtime, recipe …
    │   ├── ModelFileError         a model or weights file that cannot be read
    │   ├── WeightsError           weights that do not fit the network
    │   ├── ImageError             no usable image
    │   └── UnsupportedError       an operator, shape or option that cannot be expressed
    ├── MissingExtraError      an optional dependency is not installed (exit code 2)
    ├── DeviceError            a device cannot be reached, or cannot do what it is asked to (exit code 2)
    │   └── DeviceLostError        the connection was cut: trying again may help
    ├── OutputError            a result cannot be written (exit code 2)
    ├── GraphError             a graph breaks the canonical contract: a defect of edgekit (exit code 2)
    └── CheckError             a gate or check failed (exit code 1)

A message says what was given and what was expected; ``hint`` says what to do next.
Foreign exceptions are mapped where they enter, with ``raise … from exc``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckError",
    "DeviceError",
    "DeviceLostError",
    "EdgekitError",
    "GraphError",
    "ImageError",
    "InputError",
    "MissingExtraError",
    "ModelFileError",
    "OutputError",
    "UnknownNameError",
    "UnsupportedError",
    "WeightsError",
]


class EdgekitError(Exception):
    """Root of the tree. ``str(error)`` is the message; ``error.hint`` the next step, or empty."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(EdgekitError):
    """What the caller gave cannot be used."""


class UnknownNameError(InputError, KeyError):
    """A name that no registry holds; offers the valid names and the nearest guesses."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        names = sorted(valid)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        EdgekitError.__init__(self, f"unknown {kind} {name!r}", hint=_hint(kind, near, names))

    def __str__(self) -> str:  # KeyError would show the message's repr
        return str(self.args[0])


_MOST_LISTED = 12
_LISTED_BY = {
    "command": "edgekit --help",
    "family": "edgekit models",
    "model": "edgekit models",
    "target": "edgekit targets list",
}


def _hint(kind: str, near: list[str], names: list[str]) -> str:
    if near:
        return f"did you mean {' or '.join(near)}?"
    is_long = len(names) > _MOST_LISTED and kind in _LISTED_BY
    return f"`{_LISTED_BY[kind]}` lists them" if is_long else f"known: {', '.join(names)}"


class ModelFileError(InputError):
    """A model or weights file that is missing, truncated or of another format."""


class WeightsError(InputError):
    """Weights that do not fit the network: missing keys, wrong shapes, NaN."""


class ImageError(InputError):
    """A folder or file that yields no usable image."""


class UnsupportedError(InputError):
    """An operator, shape or option that the format or target cannot express."""


class MissingExtraError(EdgekitError):
    """A dependency is not installed. ``extra`` is the one that brings it, empty for edgekit's own."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            hint=f"pip install 'edgekit[{extra}]'" if extra else f"pip install {package}",
        )


class DeviceError(EdgekitError):
    """A device cannot be reached, or cannot do what it is asked to."""


class DeviceLostError(DeviceError):
    """The connection to a device was cut while it worked: trying again may help."""


class OutputError(EdgekitError):
    """A result cannot be written."""


class GraphError(EdgekitError):
    """A graph breaks the canonical contract after a pass: a defect of edgekit, not of the input."""


class CheckError(EdgekitError):
    """A gate or check failed: accuracy, parity, size or precision is not what was promised."""

    exit_code = 1
