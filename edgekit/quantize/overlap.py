"""Images that are in two sets at once, told by their bytes: what calibrated should not judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from edgekit.files import sha256_of

__all__ = ["shared_images"]


def shared_images(calibration: Iterable[Path], evaluation: Iterable[Path]) -> list[Path]:
    """Files of ``evaluation`` whose content is also in ``calibration``, whatever they are called.

    Only files of equal size are read.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in calibration:
        by_size[path.stat().st_size].append(path)
    hashes: dict[int, set[str]] = {}
    shared = []
    for path in evaluation:
        size = path.stat().st_size
        if size not in by_size:
            continue
        if size not in hashes:
            hashes[size] = {sha256_of(other) for other in by_size[size]}
        if sha256_of(path) in hashes[size]:
            shared.append(path)
    return shared
