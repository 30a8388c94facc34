"""Weights from the Hugging Face hub, from a loopback server that answers as it does."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from edgekit import manifest
from edgekit.cli.main import main
from edgekit.errors import InputError, MissingExtraError, OutputError, UnknownNameError, WeightsError
from edgekit.models import weights, zoo
from edgekit.models.hub import is_address, locate_on_hub
from edgekit.models.module import build
from edgekit.models.network import Network
from edgekit.options import Preprocessing
from hub_server import Hub, Repository, running_hub

REPO = "timm/mobilenetv2_035.made_in1k"
ADDRESS = f"hf://{REPO}"
CONFIG = {
    "architecture": "mobilenetv2_035",
    "num_classes": 3,
    "label_names": ["crane", "crate", "crab"],
    "pretrained_cfg": {
        "tag": "made_in1k",
        "input_size": [3, 32, 32],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "crop_pct": 0.8,
        "crop_mode": "center",
        "interpolation": "bilinear",
    },
}
TOLD = Preprocessing(40, "bilinear", 32, mean=(0.5,) * 3, std=(0.25,) * 3)
STAGES = (1, 2, 3, 4, 3, 3, 1)
"""Blocks of MobileNet v2's stages, by which timm numbers them."""
INVERTED = {"expand": "conv_pw", "expand_bn": "bn1", "depthwise": "conv_dw", "depthwise_bn": "bn2"} | {
    "project": "conv_pwl",
    "project_bn": "bn3",
}
FIRST = {"depthwise": "conv_dw", "depthwise_bn": "bn1", "project": "conv_pw", "project_bn": "bn2"}
ENDS = {"stem.conv": "conv_stem", "stem.conv_bn": "bn1", "head.conv": "conv_head", "head.conv_bn": "bn2"} | {
    "classifier.linear": "classifier"
}


@pytest.fixture(scope="module")
def network() -> Network:
    return zoo.network("mobilenet_v2", width=0.35, resolution=32, num_classes=3)


@pytest.fixture(scope="module")
def state(network: Network) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    return dict(build(network, seed=5).state_dict())


@pytest.fixture(scope="module")
def content(state: dict[str, torch.Tensor]) -> bytes:
    """``model.safetensors`` as timm would write it."""
    places = [f"{stage}.{index}" for stage, repeats in enumerate(STAGES) for index in range(repeats)]
    names = dict(ENDS)
    for number, place in enumerate(places):
        inner = FIRST if number == 0 else INVERTED
        names |= {f"blocks.{number}.{ours}": f"blocks.{place}.{theirs}" for ours, theirs in inner.items()}
    renamed = {}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        renamed[f"{names[layer]}.{kind}"] = tensor
    return save(renamed)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub(str(tmp_path / "hub"), monkeypatch) as running:
        yield running


@pytest.fixture
def commit(hub: Hub, content: bytes) -> str:
    return hub.add(REPO, {"model.safetensors": content, "config.json": json.dumps(CONFIG).encode()})


def close(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As without a network: nothing listens on port 9."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    hub.asked.clear()


def test_timms_weights_bring_their_preprocessing_and_labels(
    network: Network, state: dict[str, torch.Tensor], commit: str
) -> None:
    module, info = weights.build(network, ADDRESS)
    assert info.source == f"hf://{REPO}@{commit}/model.safetensors"
    assert (info.layout, info.preprocessing, info.warnings) == ("timm", TOLD, ())
    assert info.labels == ("crane", "crate", "crab")
    got = module.state_dict()
    assert all(torch.equal(got[key], tensor) for key, tensor in state.items() if tensor.ndim)


def test_the_manifest_names_the_commit_and_repeats_without_a_network(
    hub: Hub, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scale = ["--width", "0.35", "--resolution", "32", "--num-classes", "3", "--json"]

    def exported(address: str, folder: str) -> manifest.Manifest:
        out = tmp_path / folder
        assert main(["export", "mobilenet_v2", *scale, "--weights", address, "-o", str(out)]) == 0
        assert capsys.readouterr().err == ""
        return manifest.read(out / "manifest.json")

    first = exported(ADDRESS, "first")
    assert first.model.weights == f"hf://{REPO}@{commit}/model.safetensors"
    assert first.preprocessing == TOLD
    assert (tmp_path / "first" / "labels.txt").read_text(encoding="utf-8") == "crane\ncrate\ncrab\n"
    hub.repositories[REPO].commit({})
    hub.asked.clear()
    second = exported(first.model.weights, "second")
    assert hub.asked == []
    assert second == first


@pytest.mark.parametrize("is_offline", [False, True])
def test_the_cache_serves_without_a_network(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch, is_offline: bool
) -> None:
    from huggingface_hub import constants

    before = locate_on_hub(ADDRESS)
    close(hub, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    assert locate_on_hub(ADDRESS) == before
    assert locate_on_hub(f"{ADDRESS}@{commit}").path == before.path
    with pytest.raises(WeightsError, match="cannot reach the Hugging Face hub for hf://timm/other") as caught:
        locate_on_hub("hf://timm/other")
    assert "--weights FILE" in caught.value.hint


def test_a_cached_file_without_its_description_says_so(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = locate_on_hub(ADDRESS)
    found.path.with_name("config.json").unlink()
    close(hub, monkeypatch)
    (warning,) = locate_on_hub(ADDRESS).warnings
    assert "config.json" in warning
    assert locate_on_hub(ADDRESS).path == found.path


def test_what_is_known_to_have_no_description_needs_no_network(
    hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("a/plain", {"model.safetensors": content})
    found = locate_on_hub("hf://a/plain")
    close(hub, monkeypatch)
    assert locate_on_hub("hf://a/plain") == found
    assert found.warnings == ()


@pytest.mark.parametrize("status", [500, 503])
def test_a_hub_that_is_down_is_no_network(hub: Hub, commit: str, status: int) -> None:
    before = locate_on_hub(ADDRESS)
    hub.status = status
    assert locate_on_hub(ADDRESS) == before
    with pytest.raises(WeightsError, match=f"answers with status {status}"):
        locate_on_hub("hf://timm/other")


def test_a_portals_page_is_no_network(hub: Hub) -> None:
    hub.page = b"<html>sign in to this network</html>"
    with pytest.raises(WeightsError, match="its answer is not the hub's"):
        locate_on_hub(ADDRESS)


def test_branches_files_and_folders_are_found(hub: Hub, commit: str) -> None:
    files = {"pytorch_model.bin": b"bin", "runs/best.pth": b"pth", "runs/config.json": b"{}"}
    other = hub.repositories[REPO].commit(files, "tuned/more")
    assert locate_on_hub(f"{ADDRESS}@tuned%2Fmore").address == f"hf://{REPO}@{other}/pytorch_model.bin"
    found = locate_on_hub(f"https://huggingface.co/{REPO}/blob/{other}/runs/best.pth")
    assert found.address == f"hf://{REPO}@{other}/runs/best.pth"
    assert found.path.read_bytes() == b"pth"
    assert found.path.with_name("config.json").read_bytes() == b"{}"
    assert locate_on_hub(found.address) == found


def test_progress_is_told_and_nothing_is_drawn(
    commit: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, int, int]] = []
    locate_on_hub(ADDRESS, lambda *state: seen.append(state))
    assert ("download", len(content), len(content)) in seen
    assert capfd.readouterr() == ("", "")


FAULTS: dict[str, tuple[str, type[Exception], str, str]] = {
    "repository": ("hf://timm/unknown", WeightsError, "there is no repository timm/unknown", "hf auth login"),
    "revision": (f"{ADDRESS}@v9", WeightsError, "has no revision 'v9'", "a branch, a tag"),
    "gated": ("hf://a/gated", WeightsError, "a/gated .* is gated", r"a/gated, then sign in"),
    "none": (
        "hf://a/words",
        WeightsError,
        "neither model.safetensors nor pytorch_model.bin",
        "no file of we",
    ),
    "other": ("hf://a/other", WeightsError, "holds neither", "hf://a/other/net.pth"),
    "file": ("hf://a/other/nett.pth", UnknownNameError, "unknown file of a/other", "mean net.pth"),
    "kind": ("hf://a/other/net.onnx", InputError, "net.onnx of a/other is no file of weights", ".pth"),
    "outside": ("hf://a/other/../net.pth", InputError, "no file of weights", ".pth"),
    "owner": ("hf://gpt2", InputError, "names no repository of the hub", "hf://OWNER/REPO"),
    "empty": ("hf://", InputError, "names no repository of the hub", "hf://OWNER/REPO"),
    "dataset": ("hf://datasets/a/b", InputError, "is a dataset, expected a model", "hf://OWNER/REPO"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_had_is_named(hub: Hub, commit: str, fault: str) -> None:
    address, error, message, hint = FAULTS[fault]
    hub.add("a/words", {"README.md": b"# words"})
    hub.add("a/other", {"net.pth": b"1"})
    hub.add("a/gated", {"model.safetensors": b"1"})
    hub.repositories["a/gated"].is_gated = True
    with pytest.raises(error, match=message) as caught:
        locate_on_hub(address)
    assert isinstance(caught.value, InputError)
    assert hint in caught.value.hint


def test_a_refused_token_is_named(hub: Hub, commit: str) -> None:
    hub.status = 403
    with pytest.raises(WeightsError, match=r"refuses .* with status 403") as caught:
        locate_on_hub(ADDRESS)
    assert "HF_TOKEN" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_named(
    commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot keep timm/") as caught:
        locate_on_hub(ADDRESS)
    assert "HF_HOME" in caught.value.hint


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="huggingface_hub") as caught:
        locate_on_hub(ADDRESS)
    assert "edgekit[hub]" in caught.value.hint


@pytest.mark.parametrize("source", ["imagenet", "random", "net.pt", "hf:/a/b", "https://example.com/net.pt"])
def test_other_sources_are_no_addresses(source: str) -> None:
    assert not is_address(source)


def described(hub: Hub, content: bytes, change: dict[str, Any], top: dict[str, Any] | None = None) -> str:
    config = CONFIG | {"pretrained_cfg": CONFIG["pretrained_cfg"] | change} | (top or {})  # type: ignore[operator]
    hub.repositories[REPO] = Repository()
    hub.repositories[REPO].commit({"model.safetensors": content, "config.json": json.dumps(config).encode()})
    return ADDRESS


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (
            {"input_size": [3, 48, 48]},
            "trained on 48x48 pixels, and mobilenet_v2 takes 32x32: --resolution 48",
        ),
        ({"interpolation": "lanczos"}, "resizes images by lanczos.*says bicubic"),
        ({"crop_mode": "squash"}, "crops images by squash.*says center"),
    ],
)
def test_what_differs_from_the_training_is_said(
    hub: Hub, content: bytes, network: Network, change: dict[str, Any], warning: str
) -> None:
    _, info = weights.build(network, described(hub, content, change))
    assert len(info.warnings) == 1
    assert re.search(warning, info.warnings[0])


def test_old_descriptions_are_flat(hub: Hub, content: bytes, network: Network) -> None:
    flat = {"architecture": "mobilenetv2_035", **CONFIG["pretrained_cfg"]}  # type: ignore[dict-item]
    hub.add(REPO, {"model.safetensors": content, "config.json": json.dumps(flat).encode()})
    _, info = weights.build(network, ADDRESS)
    assert info.preprocessing == TOLD
    assert info.labels is None
