"""TensorFlow Lite Micro answers as LiteRT's reference kernels do, and what it cannot run is an error."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.errors import InputError, MissingExtraError, ModelFileError, UnsupportedError
from edgekit.micro import interpreter
from edgekit.micro.arena import plan_arena
from edgekit.micro.interpreter import run
from edgekit.micro.operators import MICRO_OPERATORS
from edgekit.runtimes.tflite_file import read
from family_files import FAMILIES, family_file, network_file

installed = pytest.mark.skipif(
    not pytest.importorskip("importlib.util").find_spec("tflite_micro"),
    reason="needs edgekit[microcontrollers]",
)


def image_for(path: Path) -> npt.NDArray[np.generic]:
    shape = read(path).tensors[0].shape
    return np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)


def reference_answer(path: Path, image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """LiteRT's plain kernels, which define what a quantized operator means."""
    from ai_edge_litert import interpreter as litert

    runner = litert.Interpreter(str(path), experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    runner.allocate_tensors()
    runner.set_tensor(runner.get_input_details()[0]["index"], image)
    runner.invoke()
    answer: npt.NDArray[np.generic] = runner.get_tensor(runner.get_output_details()[0]["index"])
    return answer


@installed
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_as_the_reference_does_in_the_planned_arena(family: str) -> None:
    path = family_file(family)
    file, image = read(path), image_for(path)
    missing = set(file.versions) - MICRO_OPERATORS
    if missing:
        with pytest.raises(UnsupportedError, match=missing.pop()):
            run(path, [image])
        return
    found = run(path, [image])
    want = reference_answer(path, image)
    assert np.abs(found.answers[0].astype(int) - want.astype(int)).max() <= 1
    assert plan_arena(file).total_bytes == pytest.approx(found.arena.total_bytes, rel=0.05)


@installed
def test_the_arena_is_divided_into_what_it_is_for() -> None:
    path = network_file("mobilenet_v1")
    arena = run(path, [image_for(path)]).arena
    assert arena.total_bytes == arena.activation_bytes + arena.persistent_bytes
    assert 0 < sum(arena.allocations.values()) < arena.persistent_bytes
    assert arena.allocations["NodeAndRegistration struct"] == 64 * len(read(path).operators)


@installed
def test_a_precision_that_it_has_no_kernels_for_is_named() -> None:
    path = network_file("mobilenet_v1", precision="fp16")
    image = np.zeros(read(path).tensors[0].shape, np.float32)
    with pytest.raises(UnsupportedError, match=r"TensorFlow Lite Micro cannot run .*fp16"):
        run(path, [image])


@installed
def test_feeds_have_to_fit() -> None:
    path = network_file("mobilenet_v1")
    image = image_for(path)
    with pytest.raises(InputError, match="0 inputs were given"):
        run(path, [])
    with pytest.raises(InputError, match=r"was given float32 .* expected int8"):
        run(path, [image.astype(np.float32)])


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(interpreter, "version", missing)
    path = network_file("mobilenet_v1")
    with pytest.raises(MissingExtraError, match="tflite-micro") as caught:
        run(path, [image_for(path)])
    assert "edgekit[microcontrollers]" in caught.value.hint


def test_a_file_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "no.tflite").write_bytes(b"not a flatbuffer at all")
    with pytest.raises(ModelFileError, match="not a TFLite file"):
        run(tmp_path / "no.tflite", [])
