"""Comparing a captured graph with the module it was captured from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgekit.graph.run import GraphRunner

RelativeError = Callable[[ir.Model, nn.Module], float]


@pytest.fixture
def relative_error() -> RelativeError:
    """Largest difference between graph and module on two random images, in parts of the largest output."""

    def compute(model: ir.Model, module: nn.Module) -> float:
        shape = model.graph.inputs[0].shape
        assert shape is not None
        x = torch.randn(
            (2, *(int(str(dim)) for dim in shape[1:])), generator=torch.Generator().manual_seed(0)
        )
        module.eval()
        with torch.no_grad():
            expected = module(x).numpy()
        (found,) = GraphRunner(model).run(x.numpy()).values()
        assert found.shape == expected.shape
        return float(np.abs(found - expected).max() / np.abs(expected).max())

    return compute
