"""The commands that run no network: their JSON is the documented object, their tables say the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgekit import model_file, target
from edgekit.cli.target_fields import limits_json
from edgekit.description import describe, models
from edgekit.models import zoo
from edgekit.options import Scale, ScaleChange

Run = Callable[..., Any]


def test_models_json_has_every_name(run: Run) -> None:
    rows = run("models", "--json").json()["models"]
    assert [row["name"] for row in rows] == list(zoo.names())
    assert {tuple(row) for row in rows} == {
        (
            *("name", "family", "resolution", "params", "macs", "top1", "weights"),
            *("top5", "dataset", "source", "year", "layers", "activation_bytes"),
            "peak_activation_bytes",
        )
    }
    (lite0,) = [row for row in rows if row["name"] == "efficientnet_lite0"]
    assert (lite0["params"], lite0["family"], lite0["resolution"]) == (4_652_008, "efficientnet_lite", 224)


def test_models_table_has_every_name(run: Run) -> None:
    head, *lines = run("models").out.splitlines()
    assert head.split()[:2] == ["name", "family"]
    assert [line.split()[0] for line in lines] == list(zoo.names())


def test_models_compared_are_the_lectures_table(run: Run) -> None:
    head, *lines = run("models", "--compare").out.splitlines()
    assert [head.find(name) > 0 for name in ("year", "layers", "params", "activations", "top-5")] == [
        True
    ] * 5
    rows = {line.split()[0]: line.split() for line in lines}
    assert set(rows) == set(zoo.names())
    # Name, year, layers, params, M MACs, activations MB, peak MB, top-5 error %.
    assert rows["vgg16"][1:5] == ["2014", "16", "138,357,544", "15,470.3"]
    assert rows["googlenet"][1:3] == ["2014", "22"]
    assert rows["resnet152"][1:3] == ["2015", "152"]
    assert rows["alexnet"][7] == "20.9"
    years = [int(row[1]) for row in rows.values()]
    assert years == sorted(years)


@pytest.mark.parametrize("family", zoo.families())
def test_models_of_one_family(run: Run, family: str) -> None:
    rows = run("models", "--family", family, "--json").json()["models"]
    assert tuple(row["name"] for row in rows) == zoo.names(family)


def test_an_unknown_family(run: Run) -> None:
    done = run("models", "--family", "mobilenet_v")
    assert (done.code, done.out) == (2, "")
    assert "unknown family 'mobilenet_v'" in done.err


def test_a_name_like_no_other_is_told_where_they_are_listed(run: Run) -> None:
    done = run("describe", "nothing_like_it")
    assert done.err.splitlines()[1] == "hint: `edgekit models` lists them"


def test_describe_json_is_the_documented_object(run: Run) -> None:
    document = run("describe", "mobilenet_v2", "--json").json()
    assert list(document) == ["model", "input_shape", "totals", "layers"]
    assert list(document["totals"]) == ["params", "macs", "weight_bytes", "peak_activation_bytes"]
    assert {tuple(layer) for layer in document["layers"]} == {
        (
            *("name", "op", "output_shape", "activation_bytes", "params", "macs"),
            *("receptive_field", "total_stride"),
        )
    }
    assert document["input_shape"] == [1, 3, 224, 224]
    assert document["totals"]["params"] == 3_504_872 == sum(layer["params"] for layer in document["layers"])
    assert document["totals"]["macs"] == sum(layer["macs"] for layer in document["layers"])
    assert document["layers"][-1]["output_shape"] == [1, 1000]


def test_describe_table_is_that_of_the_lecture_notes(run: Run) -> None:
    out = run("describe", "mobilenet_v2").out.splitlines()
    head = ["layer", "op", "output", "shape", "activation", "KB", "params", "M", "MACs", "sees", "stride"]
    assert out[0].split() == head
    # 96 × 112 × 112 activations of 4 bytes; 16 × 96 weights with a gain and a shift each; 16 products each.
    assert out[4].split() == ["blocks.1.expand", "Conv", "96×112×112", "4,704.0", "1,728", "19.27", "7", "2"]
    assert ["total", "3,504,872", "300.77"] in [line.split() for line in out]
    assert "input             3×224×224" in out


def test_describe_takes_a_scale(run: Run) -> None:
    flags = [
        "--width",
        "0.5",
        "--depth",
        "1.2",
        "--resolution",
        "128",
        "--num-classes",
        "7",
        "--in-channels",
        "1",
    ]
    change = ScaleChange(0.5, 1.2, 128, 7, 1)
    document = run("describe", "efficientnet_b0", *flags, "--json").json()
    assert document == describe("efficientnet_b0", change).to_json()
    assert document["input_shape"] == [1, 1, 128, 128]


def test_describe_takes_a_model_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    model_file.write(path, "mobilenet_v2", Scale(width=0.75, resolution=160, num_classes=10))
    document = run("describe", path, "--resolution", "96", "--json").json()
    change = ScaleChange(width=0.75, resolution=96, num_classes=10)
    assert document == describe("mobilenet_v2", change).to_json()


def test_models_and_describe_count_the_same(run: Run) -> None:
    for row in models("squeezenet"):
        assert run("describe", row.name, "--json").json()["totals"]["macs"] == row.macs


def test_targets_json_is_the_documented_object(run: Run) -> None:
    document = run("targets", "list", "--json").json()
    assert document == {"targets": [one.to_json() for one in target.all_targets()]}
    assert {tuple(one) for one in document["targets"]} == {("name", "kind", "format", "precisions")}


def test_targets_list_names_the_formats_too(run: Run) -> None:
    out = run("targets", "list").out
    assert all(name in out for name in (*target.FORMAT_NAMES, "host", "arm64"))


@pytest.mark.parametrize("name", ["host", "litert", "all"])
def test_targets_show(run: Run, name: str) -> None:
    shown = run("targets", "show", name, "--json").json()["targets"]
    assert [one.pop("latency") for one in shown] == [[] for _ in target.resolve(name)]
    assert shown == [one.to_json() | limits_json(one) for one in target.resolve(name)]
    out = run("targets", "show", name).out
    assert all(one.format in out for one in target.resolve(name))


def test_doctor(run: Run) -> None:
    document = run("doctor", "--json").json()
    assert {"edgekit", "python", "packages", "cpu", "cache_folder", "warnings"} <= set(document)
    done = run("doctor")
    assert done.code == 0
    assert all(package["name"] in done.out for package in document["packages"])
    assert [line.removeprefix("warning: ") for line in done.err.splitlines()] == document["warnings"]


def test_calibration_list(run: Run) -> None:
    (recipe,) = [
        one for one in run("calibration", "list", "--json").json()["recipes"] if one["name"] == "natural"
    ]
    assert (recipe["folder"], recipe["count"]) == (None, 100)
    assert "natural" in run("calibration", "list").out


def test_calibration_create_makes_a_recipe_that_is_listed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CONFIG", str(tmp_path / "config"))
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(3):
        Image.new("RGB", (32, 32), (index, 0, 0)).save(photos / f"{index}.png")
    (photos / "broken.png").write_bytes(b"not a picture")
    done = run("calibration", "create", "mine", "--from", photos, "--licence", "CC0-1.0")
    assert done.code == 0
    assert done.out == f"{tmp_path / 'config/calibration/mine.toml'}: 3 images, for --calibration mine\n"
    assert "warning: skipped" in done.err
    assert "broken.png" in done.err
    listed = {one["name"]: one for one in run("calibration", "list", "--json").json()["recipes"]}
    assert (listed["mine"]["count"], listed["mine"]["licence"]) == (3, "CC0-1.0")
    again = run("calibration", "create", "mine", "--from", photos)
    assert (again.code, again.out) == (2, "")


def test_calibration_create_json(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CONFIG", str(tmp_path / "config"))
    Image.new("RGB", (32, 32)).save(tmp_path / "one.png")
    document = run("calibration", "create", "one", "--from", tmp_path, "--json").json()
    assert (document["name"], document["count"]) == ("one", 1)
    assert Path(document["path"]).is_file()
