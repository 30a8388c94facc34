"""The topologies of the onnx package, with constant weights and with random ones, against onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgekit.capture import load_onnx
from edgekit.emit import EmitOptions, emit
from edgekit.runtimes import load
from light_models import LIGHT_MODELS, with_random_weights

_SMALL = ("light_shufflenet", "light_squeezenet", "light_inception_v1")
"""Those whose weights fit a quick test; the others differ in size, not in operators."""


@pytest.mark.parametrize("weights", ["constant", "random"])
@pytest.mark.parametrize("path", [p for p in LIGHT_MODELS if p.stem in _SMALL], ids=lambda path: path.stem)
def test_tflite_agrees_with_onnxruntime(tmp_path: Path, path: Path, weights: str) -> None:
    source = tmp_path / path.name
    given = path.read_bytes() if weights == "constant" else with_random_weights(path).SerializeToString()
    source.write_bytes(given)
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(source), options)
    (wanted,) = session.run(None, {session.get_inputs()[0].name: image})
    emitted = emit(load_onnx(source), tmp_path / "net.tflite", "tflite", EmitOptions())
    found = load(emitted.path).run(image.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(
        np.asarray(found, np.float32).reshape(-1),
        np.asarray(wanted).reshape(-1),
        atol=1e-4 * float(np.abs(wanted).max()),
    )
    assert emitted.details["transposes"] == 0


def test_all_nine_are_there() -> None:
    assert len(LIGHT_MODELS) == 9
