"""A file as C++ source: an aligned array for a program that has no file system, and the arena it needs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from edgekit import __version__
from edgekit.files import write_atomically
from edgekit.micro.arena import ALIGNMENT_BYTES, plan_arena
from edgekit.runtimes.tflite_file import TfliteFile, read

__all__ = ["arena_constant_bytes", "identifier", "write"]

_BYTES_A_LINE = 16
_ROUND_BYTES = 1024


def write(path: Path | str, folder: Path | None = None) -> tuple[Path, Path]:
    """Write ``NAME.h`` and ``NAME.cc`` of one ``.tflite`` file beside it, or into ``folder``.

    They define ``NAME_data``, aligned as TensorFlow Lite Micro wants it, ``NAME_size`` and
    ``NAME_arena_size``. Raises ModelFileError for what is no TFLite file, OutputError for what cannot be
    written.
    """
    file = read(path)
    folder = file.path.parent if folder is None else folder
    header, source = (folder / f"{file.path.stem}{suffix}" for suffix in (".h", ".cc"))
    data = file.path.read_bytes()
    write_atomically(source, _source(file, data))
    write_atomically(header, _header(file, data))
    return header, source


def arena_constant_bytes(file: TfliteFile) -> int:
    """An arena that is large enough with the reference kernels and with CMSIS-NN's, in whole KB."""
    needed = max(plan_arena(file, kernels).total_bytes for kernels in ("reference", "cmsis-nn"))
    return -(-needed // _ROUND_BYTES) * _ROUND_BYTES


def identifier(stem: str) -> str:
    """A name that C accepts: ``mobilenet-v2 int8`` becomes ``mobilenet_v2_int8``."""
    name = re.sub(r"\W", "_", stem, flags=re.ASCII)
    return name if name[:1].isalpha() else f"model_{name}"


def _header(file: TfliteFile, data: bytes) -> str:
    name = identifier(file.path.stem)
    guard = f"{name.upper()}_H_"
    return f"""\
// {file.path.name}, SHA-256 {hashlib.sha256(data).hexdigest()}
// Operators: {", ".join(file.versions)}
// Written by edgekit {__version__}.

#ifndef {guard}
#define {guard}

#include <cstddef>

extern const unsigned char {name}_data[];
extern const std::size_t {name}_size;

// Bytes of the tensor arena: planned for 64-bit pointers, with CMSIS-NN's scratch memory.
constexpr std::size_t {name}_arena_size = {arena_constant_bytes(file)};

#endif  // {guard}
"""


def _source(file: TfliteFile, data: bytes) -> str:
    name = identifier(file.path.stem)
    lines = "\n".join(_lines(data))
    return f"""\
#include "{file.path.stem}.h"

alignas({ALIGNMENT_BYTES}) const unsigned char {name}_data[] = {{
{lines}
}};
const std::size_t {name}_size = sizeof({name}_data);
"""


def _lines(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _BYTES_A_LINE):
        yield "    " + ", ".join(map(str, data[start : start + _BYTES_A_LINE])) + ","
