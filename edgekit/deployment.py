"""What a named target adds to an export: its limits are checked, and a microcontroller gets C++ source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit import limits
from edgekit.micro import c_array
from edgekit.target import Target

__all__ = ["Deployment", "deploy"]


@dataclass(frozen=True)
class Deployment:
    """``warnings`` are refusals that were overridden; ``sources`` are files written beside the artifact."""

    warnings: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()


def deploy(target: Target, path: Path, *, force: bool = False) -> Deployment:
    """Check the file that was made for ``target``, and write what its programs need beside it.

    Raises UnsupportedError for a file that the target refuses, unless ``force``; OutputError when a file
    cannot be written.
    """
    if target.kind == "format":
        return Deployment()
    warnings = limits.check(target, path, force=force)
    sources = c_array.write(path) if target.kind == "mcu" else ()
    return Deployment(warnings, sources)
