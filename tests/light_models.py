"""The topologies that the onnx package ships without weights, with random ones in their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

__all__ = ["LIGHT_MODELS", "with_random_weights"]

_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

LIGHT_MODELS: tuple[Path, ...] = tuple(sorted(_FOLDER.glob("*.onnx")))
"""AlexNet with LRN, DenseNet-121, Inception v1, v2, ResNet-50, ShuffleNet, SqueezeNet, VGG-19, ZFNet-512."""


def with_random_weights(path: Path, seed: int = 0) -> onnx.ModelProto:
    """The model with numbers where the file has one constant, of a size that keeps signals alive."""
    model = onnx.load(str(path))
    random = np.random.default_rng(seed)
    graph = model.graph
    shapes = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = {name: (node, index) for node in graph.node for index, name in enumerate(node.input)}
    kept = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            continue
        name = node.output[0]
        reader, index = readers[name]
        while reader.op_type in ("Unsqueeze", "Reshape"):
            reader, index = readers[reader.output[0]]
        shape = tuple(int(size) for size in shapes[node.input[0]])
        array = _weights(random, reader.op_type, index, shape)
        graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    del graph.node[:]
    graph.node.extend(kept)
    return model


def _weights(
    random: np.random.Generator, op_type: str, index: int, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    if op_type in ("Conv", "Gemm") and index == 1:
        spread = (2 / max(int(np.prod(shape[1:])), 1)) ** 0.5
    elif (op_type == "BatchNormalization" and index in (1, 4)) or op_type == "Mul":
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    else:
        spread = 0.1
    return np.asarray(spread * random.standard_normal(shape), np.float32)
