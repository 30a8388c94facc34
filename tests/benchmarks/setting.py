"""What the benchmarks' command lines share: where the peers, their scripts and the photographs are."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import InputError

__all__ = ["CHECKOUT", "PEERS", "Peer", "Setting", "new_parser", "opened"]

CHECKOUT = Path(__file__).resolve().parents[2]
_PEERS_FOLDER = "EDGEKIT_PEERS"


@dataclass(frozen=True)
class Peer:
    """A tool that makes int8 files for one runtime. ``script`` is its name in the peers' folder."""

    name: str
    script: str
    suffix: str


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("litert", "litert_int8.py", ".tflite"),
        Peer("ort", "ort_int8.py", ".onnx"),
        Peer("nncf", "nncf_int8.py", ".xml"),
    )
}


@dataclass(frozen=True)
class Setting:
    """Where everything is, and how much to do.

    ``pythons`` are the peers' interpreters by peer; ``work`` is where files are made. A file that is in
    ``work`` already is not made again.
    """

    shared: Path
    pythons: Mapping[str, Path]
    work: Path
    samples: int

    @property
    def calibration(self) -> Path:
        return self.shared / "images" / "calibration"

    @property
    def evaluation(self) -> Path:
        return self.shared / "images" / "evaluation"

    @property
    def scorer(self) -> Path:
        return self.shared / "tools" / "score_artifact.py"

    def script(self, peer: Peer) -> Path:
        return self.shared / "peers" / peer.script

    def python(self, peer: Peer) -> Path:
        """The peer's interpreter, or InputError that says how to get one."""
        path = self.pythons[peer.name]
        if not path.is_file():
            guide = self.shared / "peers" / "README.md"
            raise InputError(
                f"{peer.name}'s interpreter {path} does not exist",
                hint=f"give --{peer.name}-python, or install the peer as {guide} says",
            )
        return path


def new_parser(description: str | None, peers: Sequence[str]) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has, and an interpreter's for each of ``peers``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=CHECKOUT.parent / "shared", metavar="FOLDER")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="make files here, and reuse those here")
    parser.add_argument("--samples", type=int, default=100, metavar="N", help="calibration images")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    for name in peers:
        parser.add_argument(f"--{name}-python", type=Path, default=_python(name), metavar="PATH")
    return parser


@contextmanager
def opened(args: argparse.Namespace, peers: Sequence[str]) -> Iterator[Setting]:
    """The setting that the options describe. Without ``--work``, what is made is removed at the end."""
    if not args.shared.is_dir():
        raise InputError(
            f"{args.shared} is not a folder", hint="give --shared, the peers' and images' folder"
        )
    pythons = {name: getattr(args, f"{name}_python").absolute() for name in peers}
    with tempfile.TemporaryDirectory(prefix="edgekit-benchmark-") as temporary:
        work = (args.work or Path(temporary)).absolute()
        yield Setting(args.shared.absolute(), pythons, work, args.samples)


def _python(name: str) -> Path:
    folder = Path(os.environ.get(_PEERS_FOLDER) or CHECKOUT / ".venv-peers")
    return folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
