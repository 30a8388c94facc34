"""The C++ source holds the file's bytes: compiled, linked, and read back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgekit.micro.arena import plan_arena
from edgekit.micro.c_array import arena_constant_bytes, identifier, write
from edgekit.runtimes.tflite_file import read
from family_files import network_file

COMPILER = shutil.which("g++") or shutil.which("clang++")

PROGRAM = """\
#include <cstdint>
#include <cstdio>
#include "NAME.h"
int main() {
  std::fprintf(stderr, "%zu %zu %d", NAME_size, NAME_arena_size,
               static_cast<int>(reinterpret_cast<std::uintptr_t>(NAME_data) % 16));
  return std::fwrite(NAME_data, 1, NAME_size, stdout) != NAME_size;
}
"""


@pytest.mark.skipif(COMPILER is None, reason="needs g++ or clang++")
def test_a_program_has_the_files_bytes_aligned(tmp_path: Path) -> None:
    path = network_file("squeezenet1_0")
    header, source = write(path, tmp_path)
    name = identifier(path.stem)
    assert {header.name, source.name} == {f"{path.stem}.h", f"{path.stem}.cc"}
    main = tmp_path / "main.cc"
    main.write_text(PROGRAM.replace("NAME.h", header.name).replace("NAME", name))
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-O0"]
    assert COMPILER is not None
    subprocess.run([COMPILER, *flags, main, source, "-o", tmp_path / "program"], check=True)
    done = subprocess.run([tmp_path / "program"], capture_output=True, check=True)
    assert done.stdout == path.read_bytes()
    size, arena, remainder = map(int, done.stderr.split())
    assert (size, remainder) == (path.stat().st_size, 0)
    assert arena == arena_constant_bytes(read(path))


def test_the_arena_holds_the_plan_of_either_kernels() -> None:
    file = read(network_file("mobilenet_v2"))
    constant = arena_constant_bytes(file)
    assert constant % 1024 == 0
    assert all(plan_arena(file, kernels).total_bytes <= constant for kernels in ("reference", "cmsis-nn"))


@pytest.mark.parametrize(
    ("stem", "name"),
    [("net_int8", "net_int8"), ("my-net 2.0", "my_net_2_0"), ("2nd", "model_2nd"), ("größe", "gr__e")],
)
def test_names_are_ones_that_c_accepts(stem: str, name: str) -> None:
    assert identifier(stem) == name
