"""The wheel holds what an installation needs, and the README's map is that of the package."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from edgekit.cli.main import COMMANDS, main


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(checkout)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(path)


def test_the_wheel_has_every_module_and_the_type_marker(wheel: zipfile.ZipFile, checkout: Path) -> None:
    modules = {path.relative_to(checkout).as_posix() for path in (checkout / "edgekit").rglob("*.py")}
    assert modules | {"edgekit/py.typed"} <= set(wheel.namelist())


@pytest.mark.parametrize("kind", ["targets", "calibration"])
def test_the_wheel_has_the_data_folders(wheel: zipfile.ZipFile, checkout: Path, kind: str) -> None:
    files = {f"edgekit/data/{kind}/{path.name}" for path in (checkout / kind).glob("*.toml")}
    assert files
    assert files == {name for name in wheel.namelist() if name.startswith(f"edgekit/data/{kind}/")}


def test_the_wheel_has_nothing_else(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel.namelist()} == {"edgekit"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_the_wheel_has_the_command(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "edgekit = edgekit.cli.main:main" in wheel.read(entry_points).decode()


def test_the_readme_maps_every_part_of_the_package(checkout: Path) -> None:
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    mapped = set(re.findall(r"^  (\S+?)/? {2,}\S", readme, flags=re.MULTILINE))
    hidden = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
    assert mapped == {path.name for path in (checkout / "edgekit").iterdir()} - hidden


def test_the_readme_uses_commands_and_flags_that_exist(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    lines = [line.split("#")[0].split() for line in "".join(blocks).splitlines()]
    used = [words for words in lines if words and words[0] == "edgekit"]
    assert len(used) >= 6
    for _, command, *arguments in used:
        assert command in COMMANDS
        main([command, "--help"])
        documented = capsys.readouterr().out
        assert not [word for word in arguments if word.startswith("-") and word not in documented]


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_readme_starts_with_the_two_commands(checkout: Path, target: str) -> None:
    first_lines = (checkout / "README.md").read_text(encoding="utf-8").splitlines()[:6]
    assert any(line.startswith(f"make {target} ") for line in first_lines)
    makefile = (checkout / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
