"""``manifest.json``: how an application has to feed and read the files beside it.

Pixels are RGB bytes; ``(pixel / 255 - mean) / std`` comes first, then the input's scale and zero point
if it has them. ``"normalization": "embedded"`` means that the network takes raw pixels. Schema 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from edgekit.errors import InputError, ModelFileError
from edgekit.files import write_atomically
from edgekit.options import CalibrationSet, ElementType, Format, Layout, Precision, Preprocessing, TensorSpec

__all__ = [
    "FILE_NAME",
    "Manifest",
    "ManifestArtifact",
    "ManifestModel",
    "extend",
    "of_artifact",
    "preprocessing_beside",
    "read",
    "write",
]

FILE_NAME = "manifest.json"


class ManifestModel(msgspec.Struct, frozen=True, kw_only=True):
    """The network that was exported. Width and depth are 1 where the model has no such scale.

    ``weights`` is ``"imagenet"``, ``"random"``, ``"file:NAME"`` or ``"hf://OWNER/REPO@COMMIT/FILE"``.
    """

    name: str
    width: float
    depth: float
    resolution: int
    num_classes: int
    weights: str


@dataclass(frozen=True)
class ManifestArtifact:
    """One file. ``path`` is its name in the manifest's folder.

    ``float_layers`` and ``int16_layers`` are those of an int8 file that are not int8; ``more_inputs`` and
    ``more_outputs`` those beyond the first. ``calibration`` are the images that calibrated it, if any did.
    """

    path: str
    format: Format
    precision: Precision
    size_bytes: int
    sha256: str
    input: TensorSpec
    output: TensorSpec
    float_layers: tuple[str, ...] = ()
    int16_layers: tuple[str, ...] = ()
    more_inputs: tuple[TensorSpec, ...] = ()
    more_outputs: tuple[TensorSpec, ...] = ()
    calibration: CalibrationSet | None = None


@dataclass(frozen=True)
class Manifest:
    """What is written. ``labels`` is the name of a file in the same folder, one class a line."""

    model: ManifestModel
    preprocessing: Preprocessing
    labels: str | None
    artifacts: tuple[ManifestArtifact, ...]


def write(manifest: Manifest, folder: Path) -> Path:
    """Write ``manifest.json`` into ``folder`` and return its path. Raises OutputError."""
    path = folder / FILE_NAME
    document = msgspec.json.encode(_document(manifest))
    write_atomically(path, msgspec.json.format(document, indent=2) + b"\n")
    return path


def read(path: Path) -> Manifest:
    """Read a ``manifest.json``. Raises ModelFileError, naming the field, for one that cannot be used."""
    try:
        return _manifest(msgspec.json.decode(path.read_bytes(), type=_Document))
    except OSError as exc:
        raise ModelFileError(
            f"cannot read {path}: {exc.strerror or exc}",
            hint=f"an exported file needs the {FILE_NAME} of its export beside it",
        ) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ModelFileError(f"{path} is not a manifest of edgekit: {exc}") from exc


def of_artifact(artifact: Path) -> tuple[Manifest, ManifestArtifact]:
    """The manifest beside ``artifact``, and its entry.

    Raises ModelFileError when the file, the manifest or the entry is missing.
    """
    if not artifact.is_file():
        raise ModelFileError(f"{artifact} does not exist, expected an exported file")
    path = artifact.parent / FILE_NAME
    manifest = read(path)
    for entry in manifest.artifacts:
        if entry.path == artifact.name:
            return manifest, entry
    listed = ", ".join(entry.path for entry in manifest.artifacts)
    raise ModelFileError(f"{artifact.name} is not listed in {path}, which has {listed or 'no artifact'}")


def preprocessing_beside(artifact: Path) -> Preprocessing | None:
    """What a manifest of another tool beside ``artifact`` says of preprocessing; None without one."""
    try:
        return msgspec.json.decode((artifact.parent / FILE_NAME).read_bytes(), type=_Beside).preprocessing
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def extend(folder: Path, new: Manifest) -> Manifest:
    """``new`` with what an earlier export left in ``folder``: its artifacts that ``new`` does not replace.

    Raises InputError when those belong to another network or preprocessing, which one manifest cannot
    say, and ModelFileError for a manifest in ``folder`` that cannot be read.
    """
    if not (folder / FILE_NAME).exists():
        return new
    previous = read(folder / FILE_NAME)
    replaced = {entry.path for entry in new.artifacts}
    kept = tuple(
        entry for entry in previous.artifacts if entry.path not in replaced and (folder / entry.path).exists()
    )
    if kept and replace(previous, artifacts=()) != replace(new, artifacts=()):
        raise InputError(
            f"{folder} holds an export of {_title(previous)}, which differs from {_title(new)}",
            hint="export into a folder of its own",
        )
    return replace(new, artifacts=kept + new.artifacts)


def _title(manifest: Manifest) -> str:
    model = manifest.model
    return (
        f"{model.name} (width {model.width:g}, depth {model.depth:g}, resolution {model.resolution}, "
        f"{model.num_classes} classes, weights {model.weights})"
    )


class _Tensor(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A TensorSpec as JSON: what does not apply is left out, and so is the layout of logits."""

    name: str
    shape: tuple[int, ...]
    layout: Layout = "NC"
    dtype: ElementType
    scale: float | None = None
    zero_point: int | None = None
    normalization: Literal["external", "embedded"] | None = None

    def __post_init__(self) -> None:
        if (self.scale is None) != (self.dtype in ("float32", "int64")) or (self.zero_point is None) != (
            self.scale is None
        ):
            raise ValueError(f"{self.dtype} with scale {self.scale} and zero point {self.zero_point}")


class _Artifact(msgspec.Struct, omit_defaults=True):
    path: str
    format: Format
    precision: Precision
    size_bytes: int
    sha256: str
    input: _Tensor
    output: _Tensor
    float_layers: tuple[str, ...] = ()
    int16_layers: tuple[str, ...] = ()
    more_inputs: tuple[_Tensor, ...] = ()
    more_outputs: tuple[_Tensor, ...] = ()
    calibration: CalibrationSet | None = None

    def __post_init__(self) -> None:
        if self.path in {"", ".", ".."} or set(self.path) & set("/\\"):
            raise ValueError(f"{self.path!r} is not the name of a file beside the manifest")


class _Beside(msgspec.Struct):
    preprocessing: Preprocessing


class _Document(msgspec.Struct):
    schema: Literal[1]
    model: ManifestModel
    preprocessing: Preprocessing
    labels: str | None
    artifacts: tuple[_Artifact, ...]


def _document(manifest: Manifest) -> _Document:
    artifacts = tuple(
        _Artifact(
            **{
                **vars(entry),
                **{name: _tensor(getattr(entry, name)) for name in ("input", "output")},
                **{
                    name: tuple(map(_tensor, getattr(entry, name)))
                    for name in ("more_inputs", "more_outputs")
                },
            }
        )
        for entry in manifest.artifacts
    )
    return _Document(1, manifest.model, manifest.preprocessing, manifest.labels, artifacts)


def _tensor(spec: TensorSpec) -> _Tensor:
    return _Tensor(**asdict(spec))


def _manifest(document: _Document) -> Manifest:
    artifacts = tuple(
        ManifestArtifact(
            **{
                **msgspec.structs.asdict(entry),
                **{name: _spec(getattr(entry, name)) for name in ("input", "output")},
                **{name: tuple(map(_spec, getattr(entry, name))) for name in ("more_inputs", "more_outputs")},
            }
        )
        for entry in document.artifacts
    )
    return Manifest(document.model, document.preprocessing, document.labels, artifacts)


def _spec(tensor: _Tensor) -> TensorSpec:
    return TensorSpec(**msgspec.structs.asdict(tensor))
