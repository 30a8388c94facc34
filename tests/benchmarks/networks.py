"""The networks that edgekit and its peers both have, and the files that each makes of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import children
from report import note
from setting import Peer, Setting

__all__ = ["NETWORKS", "SUFFIXES", "Network", "export_command", "ours", "peer_command", "peers", "size_bytes"]

SUFFIXES = (".tflite", ".onnx", ".xml")


@dataclass(frozen=True)
class Network:
    """One network under the peers' name and under edgekit's; ``weights`` is what edgekit is told."""

    peer_name: str
    name: str
    weights: str


NETWORKS: dict[str, Network] = {
    network.peer_name: network
    for network in (
        Network("lite0", "efficientnet_lite0", "imagenet"),
        Network("mobilenet_v2", "mobilenet_v2", "random"),
    )
}


def export_command(
    setting: Setting, network: Network, out_dir: Path, *, precision: str, target: str
) -> list[str]:
    """``edgekit export``, in this interpreter's environment."""
    command = [sys.executable, "-m", "edgekit", "export", network.name, "--weights", network.weights]
    calibration = ["--calibration", str(setting.calibration), "--samples", str(setting.samples)]
    return [
        *command,
        "--precision",
        precision,
        "--target",
        target,
        *calibration,
        "-o",
        str(out_dir),
        "--json",
    ]


def peer_command(setting: Setting, network: Network, peer: Peer, out_dir: Path) -> list[str]:
    """A peer's script, in the peer's environment."""
    options = ["--model", network.peer_name, "--samples", str(setting.samples)]
    return [str(setting.python(peer)), str(setting.script(peer)), str(out_dir), *options]


def ours(setting: Setting, network: Network, precision: str) -> dict[str, Path]:
    """edgekit's file of each format, by suffix; made unless they are there."""
    folder = setting.work / "edgekit" / network.name
    files = {suffix: folder / f"{network.name}_{precision}{suffix}" for suffix in SUFFIXES}
    if not all(file.is_file() for file in files.values()):
        note(f"edgekit: exporting {network.name} in {precision}")
        children.run(export_command(setting, network, folder, precision=precision, target="all"))
    return files


def peers(setting: Setting, network: Network, among: Sequence[Peer], precision: str) -> dict[str, Path]:
    """Each peer's file, by suffix; made, in fp32 and int8, unless it is there."""
    files = {}
    for peer in among:
        folder = setting.work / peer.name / network.peer_name
        files[peer.suffix] = folder / f"{network.peer_name}_{precision}{peer.suffix}"
        if not files[peer.suffix].is_file():
            note(f"{peer.name}: making {network.peer_name} in fp32 and int8")
            children.run(peer_command(setting, network, peer, folder))
    return files


def size_bytes(file: Path) -> int:
    """What an application ships: of an OpenVINO model, both files."""
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if file.suffix == ".xml" else 0)
