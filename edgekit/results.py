"""What the library's verbs return, and the JSON that the command line promises for each.

``to_json`` gives exactly the documented object: the same keys in the same order, percentages rounded to
two digits, paths with ``/``. A number that does not exist or is infinite is ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, Union

from edgekit.options import Format, Precision, RangeMethod, TensorSpec
from edgekit.receptive_field import ReceptiveField

__all__ = [
    "JSON",
    "STAGES",
    "Artifact",
    "Comparison",
    "Description",
    "Evaluation",
    "ExportResult",
    "LayerRow",
    "MixedPlan",
    "ModelRow",
    "Parity",
    "PlanCost",
    "Prediction",
    "RangeChoice",
    "Totals",
]

# Union because the alias is recursive: quoted members cannot be joined by | at run time.
JSON: TypeAlias = Union[bool, int, float, str, "list[JSON]", "dict[str, JSON]", None]

STAGES = ("build", "capture", "calibrate", "quantize", "emit", "plan", "verify", "total")
"""Keys of ``ExportResult.seconds``; a stage that an export does not need takes 0 s.

``quantize`` and ``emit`` count every plan that ``max_drop`` tries, ``plan`` the rest of that search.
"""


@dataclass(frozen=True)
class Parity:
    """One file, run by its own runtime, against the fp32 network on the same held-back images.

    ``agreement`` is how often both name the same class, in percent; ``sqnr_db`` the signal-to-
    quantization-noise ratio of the logits in dB, infinite for equal logits; ``max_relative_error`` the
    largest difference of a logit divided by the largest logit.
    """

    images: int
    agreement: float
    sqnr_db: float
    max_relative_error: float

    def to_json(self) -> dict[str, JSON]:
        return {
            "images": self.images,
            "agreement": _rounded(self.agreement, 2),
            "sqnr_db": _rounded(self.sqnr_db, 2),
            "max_relative_error": _finite(self.max_relative_error),
        }


@dataclass(frozen=True)
class Artifact:
    """One exported file. ``path`` is where it is; the manifest beside it says how to feed and read it.

    ``transposes`` are those left in a TFLite file, ``None`` for other formats.
    """

    path: Path
    format: Format
    precision: Precision
    size_bytes: int
    sha256: str
    input: TensorSpec
    output: TensorSpec
    parity: Parity
    transposes: int | None = None
    more_inputs: tuple[TensorSpec, ...] = ()
    more_outputs: tuple[TensorSpec, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        left: dict[str, JSON] = {} if self.transposes is None else {"transposes": self.transposes}
        return {
            "path": self.path.as_posix(),
            "format": self.format,
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "parity": self.parity.to_json(),
            **left,
        }


@dataclass(frozen=True)
class PlanCost:
    """What a mixed-precision plan costs one file beside plain int8.

    Latencies are medians of one inference on this machine, one thread, in milliseconds; ``None`` where they
    were not measured.
    """

    format: Format
    plain_size_bytes: int
    plain_latency_ms: float | None
    size_bytes: int
    latency_ms: float | None

    def to_json(self) -> dict[str, JSON]:
        return {
            "format": self.format,
            "plain_size_bytes": self.plain_size_bytes,
            "size_bytes": self.size_bytes,
            "plain_latency_ms": _rounded(self.plain_latency_ms, 4),
            "latency_ms": _rounded(self.latency_ms, 4),
        }


@dataclass(frozen=True)
class MixedPlan:
    """Which layers of an int8 export are not int8, and what that buys and costs.

    ``kept`` has the precision (``"float"``, ``"int16"``) of each such layer, out of ``layers``;
    ``macs_percent`` is their share of the multiply-adds. ``plain_drop`` and ``drop`` are the points of top-1
    that plain int8 and this plan lose, ``max_drop`` what was allowed, ``trials`` how many plans were tried;
    a plan that the user chose has none of these.
    """

    kept: Mapping[str, str]
    layers: int
    macs_percent: float
    max_drop: float | None = None
    plain_drop: float | None = None
    drop: float | None = None
    trials: int = 0
    costs: tuple[PlanCost, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        return {
            "kept": dict(self.kept),
            "layers": self.layers,
            "macs_percent": _rounded(self.macs_percent, 2),
            "max_drop": _finite(self.max_drop),
            "plain_drop": _rounded(self.plain_drop, 2),
            "drop": _rounded(self.drop, 2),
            "trials": self.trials,
            "costs": [cost.to_json() for cost in self.costs],
        }


@dataclass(frozen=True)
class RangeChoice:
    """The method that ``ranges="auto"`` took, and the logits' SQNR in dB of each on a few images."""

    method: RangeMethod
    sqnr_db: Mapping[RangeMethod, float]

    def to_json(self) -> dict[str, JSON]:
        return {
            "method": self.method,
            "sqnr_db": {name: _rounded(found, 2) for name, found in self.sqnr_db.items()},
        }


@dataclass(frozen=True)
class ExportResult:
    """What one export made, how well it agrees with the fp32 network, and where the time went.

    ``seconds`` has the keys of :data:`STAGES`; ``warnings`` are sentences that the user has to see, such
    as that the weights are random. ``plan`` says which layers of int8 files are not int8, if any;
    ``sources`` are C++ files that hold an artifact for a microcontroller, ``ranges`` what was found where
    the choice was left open.
    """

    model: str
    artifacts: tuple[Artifact, ...]
    seconds: Mapping[str, float]
    manifest: Path
    warnings: tuple[str, ...] = ()
    plan: MixedPlan | None = None
    sources: tuple[Path, ...] = ()
    ranges: RangeChoice | None = None

    def to_json(self) -> dict[str, JSON]:
        ranges: dict[str, JSON] = {} if self.ranges is None else {"ranges": self.ranges.to_json()}
        plan: dict[str, JSON] = {} if self.plan is None else {"plan": self.plan.to_json()}
        sources: dict[str, JSON] = {"sources": [path.as_posix() for path in self.sources]}
        return {
            "model": self.model,
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "seconds": {stage: _rounded(self.seconds.get(stage, 0.0), 3) for stage in STAGES},
            **ranges,
            **plan,
            **(sources if self.sources else {}),
        }


@dataclass(frozen=True)
class Evaluation:
    """How one file classifies labelled images. ``top1`` and ``top5`` are in percent.

    ``skipped`` counts files that could not be read.
    """

    artifact: Path
    images: int
    top1: float
    top5: float
    skipped: int = 0

    def to_json(self) -> dict[str, JSON]:
        return {
            "artifact": self.artifact.as_posix(),
            "images": self.images,
            "top1": _rounded(self.top1, 2),
            "top5": _rounded(self.top5, 2),
        }


@dataclass(frozen=True)
class Comparison:
    """A file against a reference on the same images: its accuracy, and how far the two agree.

    ``top1`` and ``top5`` belong to ``artifact``, in percent, and are ``None`` for images without labels.
    ``agreement`` is how often both name the same class, in percent; ``sqnr_db`` the signal-to-
    quantization-noise ratio of the logits in dB, infinite for equal ones. ``expected_agreement`` is what
    noise of its size leaves to be expected on these images, of which near ties change sides. ``skipped``
    counts files that could not be read.
    """

    reference: Path
    artifact: Path
    images: int
    top1: float | None
    top5: float | None
    agreement: float
    sqnr_db: float
    expected_agreement: float
    skipped: int = 0

    def to_json(self) -> dict[str, JSON]:
        return {
            "artifact": self.artifact.as_posix(),
            "images": self.images,
            "top1": _rounded(self.top1, 2),
            "top5": _rounded(self.top5, 2),
            "agreement": _rounded(self.agreement, 2),
            "sqnr_db": _rounded(self.sqnr_db, 2),
            "expected_agreement": _rounded(self.expected_agreement, 2),
        }


@dataclass(frozen=True)
class ModelRow:
    """One name of the zoo at its own scale.

    ``top1`` and ``top5`` are the published accuracy on ``dataset`` in percent, ``None`` where none is
    known, and ``source`` says by whom; ``weights`` are the values that ``--weights`` takes for it.
    ``year`` is that of the paper. ``layers`` are those with weights on the longest way through the
    network, as papers count; ``activation_bytes`` all outputs of layers for one fp32 image together,
    ``peak_activation_bytes`` the most that is held at once.
    """

    name: str
    family: str
    resolution: int
    params: int
    macs: int
    top1: float | None
    weights: tuple[str, ...]
    top5: float | None
    dataset: str
    source: str
    year: int
    layers: int
    activation_bytes: int
    peak_activation_bytes: int

    def to_json(self) -> dict[str, JSON]:
        return {**vars(self), "weights": list(self.weights)}


@dataclass(frozen=True)
class LayerRow:
    """One layer: what it costs. ``output_shape`` is (1, C, H, W) or (1, features), activations are fp32.

    ``receptive_field`` is what an output pixel sees of the image, with the stride between neighbours;
    None for what sees the whole image.
    """

    name: str
    op: str
    output_shape: tuple[int, ...]
    activation_bytes: int
    params: int
    macs: int
    receptive_field: ReceptiveField | None = None

    def to_json(self) -> dict[str, JSON]:
        field = self.receptive_field
        return {
            "name": self.name,
            "op": self.op,
            "output_shape": list(self.output_shape),
            "activation_bytes": self.activation_bytes,
            "params": self.params,
            "macs": self.macs,
            "receptive_field": list(field.size) if field else None,
            "total_stride": list(field.stride) if field else None,
        }


@dataclass(frozen=True)
class Totals:
    """What a whole network costs for one image, in fp32.

    ``macs`` counts multiply-adds; ``peak_activation_bytes`` is the most that has to be held at once.
    """

    params: int
    macs: int
    weight_bytes: int
    peak_activation_bytes: int

    def to_json(self) -> dict[str, JSON]:
        return dict(vars(self))


@dataclass(frozen=True)
class Prediction:
    """What a network is predicted to reach on a target; ``None`` for what cannot be predicted.

    ``top1`` is percent on ImageNet-1k in fp32, with its expected error in points; ``latency_ms`` one
    inference, with its expected error in percent. ``extrapolates``: published figures do not reach it.
    """

    top1: float | None
    top1_error: float | None
    latency_ms: float | None
    latency_error_percent: float | None
    extrapolates: bool

    def to_json(self) -> dict[str, JSON]:
        return {
            "top1": _rounded(self.top1, 2),
            "top1_error": _rounded(self.top1_error, 2),
            "latency_ms": _rounded(self.latency_ms, 4),
            "latency_error_percent": _rounded(self.latency_error_percent, 2),
            "extrapolates": self.extrapolates,
        }


@dataclass(frozen=True)
class Description:
    """A network layer by layer. ``input_shape`` is (1, C, H, W); ``predicted`` is for a target, if asked."""

    model: str
    input_shape: tuple[int, ...]
    totals: Totals
    layers: tuple[LayerRow, ...] = field(repr=False)
    predicted: Prediction | None = None

    def to_json(self) -> dict[str, JSON]:
        predicted: dict[str, JSON] = {"predicted": self.predicted.to_json()} if self.predicted else {}
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "totals": self.totals.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
            **predicted,
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _rounded(value: float | None, digits: int) -> float | None:
    finite = _finite(value)
    return None if finite is None else round(finite, digits)
