"""One order in which data files are found: path, user's folder, package, checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekit import resources
from edgekit.errors import InputError, UnknownNameError


@pytest.fixture(name="tree")
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's, a packaged and a checkout folder, each with a file of its own and one that all have."""
    package, user = tmp_path / "checkout" / "edgekit", tmp_path / "user"
    for folder in (user / "targets", package / "data" / "targets", tmp_path / "checkout" / "targets"):
        folder.mkdir(parents=True)
        (folder / "common.toml").write_text("")
    (user / "targets" / "mine.toml").write_text("")
    (package / "data" / "targets" / "packaged.toml").write_text("")
    (tmp_path / "checkout" / "targets" / "new.toml").write_text("")
    (tmp_path / "checkout" / "pyproject.toml").write_text("")
    monkeypatch.setattr(resources, "_PACKAGE", package)
    monkeypatch.setenv("EDGEKIT_CONFIG", str(user))
    return tmp_path


def test_the_first_folder_counts(tree: Path) -> None:
    found = {name: path.relative_to(tree).parts[0:2] for name, path in resources.names("targets").items()}
    assert found == {
        "common": ("user", "targets"),
        "mine": ("user", "targets"),
        "new": ("checkout", "targets"),
        "packaged": ("checkout", "edgekit"),
    }
    (tree / "user" / "targets" / "common.toml").unlink()
    assert resources.find("targets", "common") == tree / "checkout/edgekit/data/targets/common.toml"


def test_a_folder_beside_an_installed_package_is_not_a_checkout(tree: Path) -> None:
    (tree / "checkout" / "pyproject.toml").unlink()
    assert "new" not in resources.names("targets")


def test_a_path_is_taken_as_it_is(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "user" / "targets")
    assert resources.find("targets", "./common.toml") == Path("common.toml")
    assert resources.find("targets", "mine.toml") == Path("mine.toml")
    assert resources.find("targets", Path("mine.toml")) == Path("mine.toml")


def test_what_is_nowhere_is_an_error(tree: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml is not a file"):
        resources.find("targets", "none.toml")
    with pytest.raises(UnknownNameError, match="unknown target 'comon'") as caught:
        resources.find("targets", "comon")
    assert "common" in caught.value.hint
    with pytest.raises(UnknownNameError, match="unknown calibration recipe"):
        resources.find("calibration", "comon")


def test_toml_that_is_not_text(tree: Path) -> None:
    (tree / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be used"):
        resources.read_toml(tree / "bytes.toml", dict)


@pytest.mark.skipif(sys.platform == "win32", reason="the XDG variables are for other systems")
def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGEKIT_CONFIG", "EDGEKIT_CACHE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert resources.user_folder("targets") == Path.home() / ".config/edgekit/targets"
    assert resources.cache_folder() == Path.home() / ".cache/edgekit"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert resources.cache_folder() == Path("/caches/edgekit")
    monkeypatch.setenv("EDGEKIT_CACHE", "/mine")
    assert resources.cache_folder() == Path("/mine")
