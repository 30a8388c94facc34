"""``edgekit compare``, with and without ``--layers``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.files import sha256_of
from edgekit.measure.record import AccuracyRecord, LayersRecord, read
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
    pytest.importorskip("vl_convert", reason="drawing needs the extra 'report'")
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


def test_what_was_found_is_added_to_a_results_file_that_a_report_reads(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    files, data = (folder / "plain_fp32.onnx", folder / "plain_int8.onnx"), ("--data", folder / "images")
    results = tmp_path / "results.jsonl"
    said = run("compare", *files, *data, "-o", results, "--json").json()
    assert run("compare", *files, *data, "--layers", "--samples", 2, "-o", results).code == 0
    assert run("evaluate", files[1], *data, "-o", results).code == 0
    compared, layered, evaluated = read(results)
    assert isinstance(compared, AccuracyRecord)
    assert isinstance(layered, LayersRecord)
    assert isinstance(evaluated, AccuracyRecord)
    assert round(compared.sqnr_db or 0, 2) == said["sqnr_db"]
    assert (compared.top1, compared.agreement) == (evaluated.top1, said["agreement"])
    assert evaluated.agreement is None
    assert len(layered.layers) == 7
    assert {one.sha256 for one in (compared, layered, evaluated)} == {sha256_of(files[1])}
    assert compared.precision == "int8"
    assert layered.command[:2] == ("edgekit", "compare")
    again = run(*layered.command[1:], "--json").json()  # the command repeats it
    assert [row["output_sqnr_db"] for row in again["layers"]] == [
        row["output_sqnr_db"] for row in layered.layers
    ]
    assert run("report", results, "-o", tmp_path / "report.md").code == 0
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "layer0.conv" in page
    assert f"{said['agreement']:.2f}" in page


@pytest.mark.parametrize(
    ("options", "hint"), [([], "add --data FOLDER"), (["--plot", "x.svg"], "add --layers")], ids=str
)
def test_what_is_missing_is_named(run: Run, folder: Path, options: list[str], hint: str) -> None:
    done = run("compare", folder / "plain_fp32.onnx", folder / "plain_int8.onnx", *options)
    assert done.code == 2
    assert hint in done.err
