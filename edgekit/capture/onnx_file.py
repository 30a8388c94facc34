"""A user's ``.onnx`` file as a canonical graph."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir


def load_onnx(path: Path) -> ir.Model:
    raise NotImplementedError
