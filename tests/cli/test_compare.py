"""``edgekit compare``, with and without ``--layers``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.options import ExportOptions
from small_models import save_images, save_onnx

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An fp32 and an int8 file of one small network, and images."""
    folder = tmp_path_factory.mktemp("compare")
    model, images = save_onnx(folder / "plain.onnx"), save_images(folder / "images", range(10))
    for precision in ("fp32", "int8"):
        edgekit.export(
            str(model),
            ExportOptions(target="onnx", precision=precision, out_dir=folder, calibration=images, samples=10),
        )
    return folder


def test_layers_are_listed_worst_first(run: Run, folder: Path) -> None:
    done = run("compare", folder / "plain_fp32.onnx", folder / "plain_int8.onnx", "--layers", "--samples", 2)
    assert done.code == 0
    assert "generated images" in done.err
    title, *rows = done.out.split("\n\n")[0].splitlines()
    assert title.split()[:2] == ["layer", "op"]
    outputs = [float(row.split()[2]) for row in rows]
    assert len(rows) == 7
    assert outputs == sorted(outputs)


def test_layers_in_the_networks_order(run: Run, folder: Path) -> None:
    files = folder / "plain_fp32.onnx", folder / "plain_int8.onnx"
    done = run("compare", *files, "--layers", "--in-order", "--samples", 1, "--data", folder / "images")
    names = [row.split()[0] for row in done.out.splitlines()[1:8]]
    assert done.err == ""
    assert (names[0], names[-1]) == ("layer0.conv", "logits_2")


def test_layers_as_json_and_as_a_picture(run: Run, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("altair", reason="drawing needs the extra 'report'")
    done = run(
        "compare",
        *(folder / "plain.onnx", folder / "plain_int8.onnx"),
        *("--layers", "--data", folder / "images", "--plot", tmp_path / "layers.svg", "--json"),
    )
    document = done.json()
    assert document["images"] == 10
    assert {"name", "output_sqnr_db", "weight_sqnr_db", "activation_sqnr_db", "suggestion"} <= set(
        document["layers"][0]
    )
    assert (tmp_path / "layers.svg").stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "hint"), [([], "add --data FOLDER"), (["--plot", "x.svg"], "add --layers")], ids=str
)
def test_what_is_missing_is_named(run: Run, folder: Path, options: list[str], hint: str) -> None:
    done = run("compare", folder / "plain_fp32.onnx", folder / "plain_int8.onnx", *options)
    assert done.code == 2
    assert hint in done.err
