"""The accuracy gate: opened before the work with everything that can be wrong, fair in its counting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.building import Built, build_graph
from edgekit.emit import EmitOptions, Emitted, emit
from edgekit.errors import CheckError, EdgekitError, ImageError, InputError
from edgekit.gates import DropGate, open_drop_gate
from edgekit.graph.run import GraphRunner
from edgekit.images import find_images, load_image, to_batch
from edgekit.options import ExportOptions
from small_models import CLASSES, save_images, save_onnx

IMAGES = 20


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_graph(str(save_onnx(tmp_path_factory.mktemp("gates") / "net.onnx")), ExportOptions())


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, built: Built) -> Path:
    """Images labelled with what the network itself answers, which is right on all of them."""
    unlabelled = save_images(tmp_path_factory.mktemp("unlabelled"), [0] * IMAGES)
    folder = tmp_path_factory.mktemp("photos")
    for index, path in enumerate(find_images(unlabelled)):
        (logits,) = GraphRunner(built.graph).run(to_batch(load_image(path, built.preprocessing))).values()
        path.rename(folder / f"{int(np.argmax(logits)):04}_{index}.png")
    return folder


def opened(built: Built, folder: Path, max_drop: float) -> DropGate:
    gate = open_drop_gate(built, ExportOptions(max_drop=max_drop, data=folder))
    assert gate is not None
    return gate


@pytest.fixture(scope="module")
def faithful(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    folder = tmp_path_factory.mktemp("files")
    return emit(built.graph, folder / "net.onnx", "onnx", EmitOptions(name="net"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    """A file of another network, which is right only by chance."""
    folder = tmp_path_factory.mktemp("files")
    graph = build_graph(str(save_onnx(folder / "source.onnx", seed=1)), ExportOptions()).graph
    return emit(graph, folder / "other.tflite", "tflite", EmitOptions(name="other"))


def test_no_gate_is_asked_for(built: Built) -> None:
    assert open_drop_gate(built, ExportOptions()) is None


def test_a_faithful_file_passes(built: Built, photos: Path, faithful: Emitted) -> None:
    calls: list[tuple[str, int, int]] = []
    assert opened(built, photos, 0.0).check([faithful], lambda *call: calls.append(call)) == ()
    assert calls == [("max-drop", done, IMAGES) for done in range(1, IMAGES + 1)]


def test_a_file_that_lost_too_much_is_named(
    built: Built, photos: Path, faithful: Emitted, other: Emitted
) -> None:
    with pytest.raises(CheckError, match=r"other.tflite reaches .* on 20 images, .* fp32 network's 100.0 %"):
        opened(built, photos, 5.0).check([faithful, other])


def test_a_drop_of_just_so_much_passes(built: Built, photos: Path, faithful: Emitted, tmp_path: Path) -> None:
    """The gate's numbers are points of top-1, not percent of it: 100 % and less is never above 100."""
    opened(built, photos, 100.0).check([faithful])
    for path in find_images(photos):
        wrong = (int(path.name[:4]) + 1) % CLASSES
        (tmp_path / f"{wrong:04}_{path.name}").write_bytes(path.read_bytes())
    opened(built, tmp_path, 0.0).check([faithful])  # both are wrong on all: nothing was lost


def test_a_gain_may_be_demanded(built: Built, photos: Path, faithful: Emitted) -> None:
    with pytest.raises(CheckError, match=r"0.0 points below .* at most -1 were allowed"):
        opened(built, photos, -1.0).check([faithful])


def test_unreadable_images_do_not_count_but_are_named(
    built: Built, photos: Path, faithful: Emitted, tmp_path: Path
) -> None:
    for path in find_images(photos)[:3]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0000_broken.png").write_bytes(b"no picture")
    (warning,) = opened(built, tmp_path, 0.0).check([faithful])
    assert warning == "1 images of --data could not be read: 0000_broken.png"


def test_all_images_unreadable(built: Built, faithful: Emitted, tmp_path: Path) -> None:
    (tmp_path / "0000_broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="none of 1 images"):
        opened(built, tmp_path, 0.0).check([faithful])


REFUSED: dict[str, tuple[Callable[[Path, ExportOptions], ExportOptions], type[EdgekitError], str]] = {
    "no data": (lambda _, o: replace(o, data=None), InputError, "data is None, expected both"),
    "no max_drop": (lambda _, o: replace(o, max_drop=None), InputError, "max_drop is None"),
    "nan": (lambda _, o: replace(o, max_drop=float("nan")), InputError, "max_drop is nan"),
    "infinite": (lambda _, o: replace(o, max_drop=float("inf")), InputError, "max_drop is inf"),
    "missing": (lambda f, o: replace(o, data=f / "no"), ImageError, "does not exist"),
    "empty": (lambda f, o: replace(o, data=f), ImageError, "holds no image"),
    "labels": (
        lambda f, o: replace(o, data=save_images(f, [0, CLASSES])),
        InputError,
        "labelled 10, and the network has classes 0 to 9",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_is_refused(built: Built, photos: Path, tmp_path: Path, name: str) -> None:
    change, error, message = REFUSED[name]
    options = change(tmp_path, ExportOptions(max_drop=1.0, data=photos))
    with pytest.raises(error, match=message) as caught:
        open_drop_gate(built, options)
    assert caught.value.hint
