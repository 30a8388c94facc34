"""Weights in a repository of the Hugging Face hub, by ``hf://OWNER/REPO[@REVISION][/FILE]``.

huggingface_hub downloads and caches, in its own folder (``HF_HOME``), with the user's own token. An address
names one commit once it is located, so that what was made of the weights can be made again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError, MissingExtraError, OutputError, UnknownNameError, WeightsError
from edgekit.models.download import Progress
from edgekit.models.timm_config import FILE_NAME

if TYPE_CHECKING:
    from huggingface_hub import HfUri

__all__ = ["SUFFIXES", "HubFile", "is_address", "locate_on_hub"]

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
"""Of the files that hold weights."""

_DEFAULTS = ("model.safetensors", "pytorch_model.bin")
_PREFIXES = ("hf://", "https://huggingface.co/", "https://hf.co/")
_FORM = "hf://OWNER/REPO[@REVISION][/FILE], as in hf://timm/mobilenetv2_100.ra_in1k"
_SIGN_IN = "sign in with `hf auth login`, or set HF_TOKEN"
_COMMIT = re.compile("[0-9a-f]{40}")
_STAGE = "download"
_TIMEOUT_SECONDS = 10.0
_SERVER_ERRORS = 500


@dataclass(frozen=True)
class HubFile:
    """A file in the hub's cache; ``address`` names its commit, and ``warnings`` are for the user to see."""

    path: Path
    address: str
    warnings: tuple[str, ...] = ()


class _UnreachableError(Exception):
    """The hub does not answer: what it gave before still counts."""


def is_address(source: str) -> bool:
    """Whether ``source`` means a repository of the hub: an ``hf://`` address, or the page's in a browser."""
    return source.startswith(_PREFIXES)


def locate_on_hub(address: str, progress: Progress | None = None) -> HubFile:
    """The file that ``address`` means, with the ``config.json`` beside it, downloaded if need be.

    Without a file's name it is ``model.safetensors``, else ``pytorch_model.bin``. What the cache holds of a
    commit is used as it is, and what it holds of a branch where the hub cannot be reached.

    Raises :class:`WeightsError` for a repository or revision that is not there or may not be read,
    :class:`UnknownNameError` for a file, with the nearest names, :class:`InputError` for another form of
    address, :class:`OutputError` when the cache cannot be written, and :class:`MissingExtraError` without
    huggingface_hub.
    """
    uri = _parse(address)
    if uri.revision and _COMMIT.fullmatch(uri.revision):
        known = _cached(uri)
        if known and not known.warnings:
            return known
    try:
        return _download(uri, progress)
    except _UnreachableError as exc:
        known = _cached(uri)
        if known is None:
            raise WeightsError(
                f"cannot reach the Hugging Face hub for {address}: {exc}",
                hint="without a network, download the file elsewhere and give it with --weights FILE; "
                "a file in the hub's cache is used by itself",
            ) from exc
        return known


def _parse(address: str) -> HfUri:
    try:
        from huggingface_hub import parse_hf_uri
        from huggingface_hub.errors import HfUriError
    except ImportError as exc:
        raise MissingExtraError("huggingface_hub", "hub", f"reading {address}") from exc
    try:
        uri = parse_hf_uri(address)
    except HfUriError as exc:
        raise InputError(
            f"{address} names no repository of the hub: {exc.msg.strip()}", hint=f"expected {_FORM}"
        ) from exc
    if uri.type != "model":
        raise InputError(f"{address} is a {uri.type}, expected a model", hint=f"expected {_FORM}")
    parts = PurePosixPath(uri.path_in_repo).parts
    if ".." in parts or (parts and not parts[-1].lower().endswith(SUFFIXES)):
        raise InputError(
            f"{uri.path_in_repo} of {uri.id} is no file of weights", hint=f"expected {', '.join(SUFFIXES)}"
        )
    return uri


def _download(uri: HfUri, progress: Progress | None) -> HubFile:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    with _errors_mapped(uri):
        info = HfApi().model_info(uri.id, revision=uri.revision, timeout=_TIMEOUT_SECONDS)
    files = sorted(sibling.rfilename for sibling in info.siblings or ())
    file = _chosen(uri, files)
    bar: Any = _silent_bar(progress)
    with _errors_mapped(uri):
        path = Path(hf_hub_download(uri.id, file, revision=uri.revision, tqdm_class=bar))
        found = _hub_file(uri, file, path)
        # Of the same commit; where there is none, the cache keeps that in mind.
        with suppress(RemoteEntryNotFoundError):
            hf_hub_download(uri.id, _description_of(file), revision=_commit(path, file), tqdm_class=bar)
    return found


def _chosen(uri: HfUri, files: list[str]) -> str:
    """The file of weights that is asked for, of all that the repository has."""
    if uri.path_in_repo:
        if uri.path_in_repo not in files:
            raise UnknownNameError(f"file of {uri.id}", uri.path_in_repo, _weights_among(files) or files)
        return uri.path_in_repo
    for file in _DEFAULTS:
        if file in files:
            return file
    others = _weights_among(files)
    raise WeightsError(
        f"{uri.id} holds neither {' nor '.join(_DEFAULTS)}",
        hint=f"name one of its files: hf://{uri.id}/{others[0]}"
        if others
        else f"it holds no file of weights at all: {', '.join(SUFFIXES)}",
    )


def _weights_among(files: list[str]) -> list[str]:
    return [file for file in files if file.lower().endswith(SUFFIXES)]


def _cached(uri: HfUri) -> HubFile | None:
    """What the cache holds of the revision; with a warning where it does not tell of ``config.json``."""
    from huggingface_hub import try_to_load_from_cache

    for file in (uri.path_in_repo,) if uri.path_in_repo else _DEFAULTS:
        path = try_to_load_from_cache(uri.id, file, revision=uri.revision)
        if not isinstance(path, str):
            continue
        is_told = try_to_load_from_cache(uri.id, _description_of(file), revision=uri.revision) is not None
        unknown = (
            f"the hub's cache holds {file} of {uri.id} without its {FILE_NAME}: preprocessing is assumed"
        )
        return _hub_file(uri, file, Path(path), () if is_told else (unknown,))
    return None


def _description_of(file: str) -> str:
    return PurePosixPath(file).with_name(FILE_NAME).as_posix()


def _hub_file(uri: HfUri, file: str, path: Path, warnings: tuple[str, ...] = ()) -> HubFile:
    return HubFile(path, f"hf://{uri.id}@{_commit(path, file)}/{file}", warnings)


def _commit(path: Path, file: str) -> str:
    """The cache keeps files as ``snapshots/COMMIT/FILE``."""
    return path.parents[len(PurePosixPath(file).parts) - 1].name


@contextmanager
def _errors_mapped(uri: HfUri) -> Iterator[None]:
    """Its errors as ours, and :class:`_UnreachableError` where the hub does not answer."""
    from huggingface_hub import errors

    # httpx's root, or that of what huggingface_hub has in its place, under the name that it derives from.
    transport: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # imported, not exported
    repository = f"{uri.id} on the Hugging Face hub"
    try:
        yield
    except errors.GatedRepoError as exc:
        raise WeightsError(
            f"{repository} is gated: its owner decides who may read it",
            hint=f"ask for access on {uri.to_url()}, then {_SIGN_IN}",
        ) from exc
    except errors.RepositoryNotFoundError as exc:
        raise WeightsError(
            f"there is no repository {repository}, or it is private",
            hint=f"check the name; for a private one {_SIGN_IN}",
        ) from exc
    except errors.RevisionNotFoundError as exc:
        raise WeightsError(
            f"{repository} has no revision {uri.revision!r}", hint="give a branch, a tag or a whole commit"
        ) from exc
    except errors.HfHubHTTPError as exc:
        status = exc.response.status_code
        if status >= _SERVER_ERRORS:
            raise _UnreachableError(f"it answers with status {status}") from exc
        raise WeightsError(
            f"the Hugging Face hub refuses {uri.id} with status {status}",
            hint=f"if your token is old or wrong, {_SIGN_IN}",
        ) from exc
    except (transport, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as exc:
        raise _UnreachableError(str(exc).partition("\n")[0] or type(exc).__name__) from exc
    except ValueError as exc:  # an answer that is not the hub's: a portal's page, a proxy's
        raise _UnreachableError(f"its answer is not the hub's ({exc})") from exc
    except OSError as exc:
        raise OutputError(
            f"cannot keep {uri.id} in the hub's cache: {exc.strerror or exc}",
            hint="HF_HOME moves that folder",
        ) from exc


def _silent_bar(progress: Progress | None) -> type[Any]:
    """A progress bar for huggingface_hub that draws nothing and tells ``progress``."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if progress:
                progress(_STAGE, int(self.n), int(self.total or 0))

    return Bar
