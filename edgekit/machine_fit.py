"""``edgekit targets fit host``: this machine's speed, measured on a spread of networks, as a target's file.

The networks differ in family, width and resolution, so that every kind of layer occurs at many sizes, and
their layers are timed too, by the runtime's own profiler; so are probes, which mix the layers of all families
at random (:mod:`edgekit.search.probes`). What is fitted predicts networks that were not measured, and says
how far it errs on those: single ones, and families of which it saw none.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from edgekit.devices import open_device
from edgekit.errors import InputError, UnsupportedError
from edgekit.latency_model import LatencyModel
from edgekit.measure.record import utc_now
from edgekit.measure.rounds import unsteadiness, usual_ms, visit
from edgekit.measure.runner_harness import check
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.network import Network
from edgekit.options import Precision
from edgekit.profilers import layers_of, profile_file
from edgekit.search.layer_fit import Timed, fit_layers
from edgekit.search.probes import probes
from edgekit.target import Target, resolve
from edgekit.trial import make_trial, make_yardstick

__all__ = ["PROBES", "SPREAD", "fit_machine", "spread", "time_networks"]

Progress = Callable[[str, int, int], None]

PROBES = 48
"""How many probes are measured beside the networks."""

_PROFILE_RUNS = 10
_UNSTEADY = 1.15
_PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")

SPREAD: tuple[tuple[str, tuple[tuple[float, int], ...]], ...] = (
    ("mobilenet_v1", ((0.25, 96), (0.25, 224), (0.5, 128), (0.5, 192), (0.75, 160), (1.0, 96), (1.0, 224))),
    ("mobilenet_v2", ((0.35, 96), (0.35, 224), (0.5, 160), (0.75, 128), (1.0, 192), (1.4, 128), (1.4, 224))),
    ("efficientnet_lite0", ((0.4, 96), (0.4, 224), (0.6, 160), (0.8, 128), (1.0, 128), (1.0, 224))),
    ("efficientnet_b0", ((0.4, 160), (0.6, 96), (0.6, 192), (0.8, 128), (1.0, 160), (1.0, 224))),
    ("squeezenet1_1", ((0.5, 128), (0.5, 224), (0.75, 160), (1.0, 128), (1.0, 224))),
    ("mnasnet1_0", ((0.5, 192), (0.75, 96), (1.0, 160), (1.0, 224))),
    ("mobilenet_v3_small", ((0.5, 128), (0.75, 224), (1.0, 160))),
    ("mobilenet_v3_large", ((0.5, 160), (0.75, 128), (1.0, 192))),
    ("resnet18", ((0.25, 128), (0.5, 96), (0.5, 160))),
    ("shufflenet_v2_x1_0", ((0.5, 192), (1.0, 128), (1.0, 224))),
    ("googlenet", ((0.5, 96), (0.5, 160))),
    ("densenet121", ((0.5, 96), (0.5, 128))),
)
"""What is measured: names of the zoo with widths and resolutions."""


def fit_machine(
    name: str,
    precisions: Sequence[Precision] = _PRECISIONS,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> Target:
    """The target ``name`` with latency models fitted to what this machine just did, some minutes each.

    Raises InputError for a target that is not this machine, UnsupportedError for a precision that it does
    not take, MissingExtraError without torch.
    """
    target = resolve(name)[0]
    if not target.is_host:
        raise InputError(f"target {name} cannot be measured from here, only this machine can")
    source = f"measured by edgekit on {_processor()}, {utc_now()[:10]}"
    networks = spread()
    every = [*networks, *probes(PROBES)]
    models: list[LatencyModel] = []
    for precision in precisions:
        target.precision(precision)
        measured, slowness = time_networks(every, target, precision, num_threads, progress)
        rows, probed = measured[: len(networks)], measured[len(networks) :]
        model = LatencyModel(
            precision=precision,
            num_threads=num_threads,
            runtime=target.runs_on,
            source=source,
            detail="layers",
            note=_note(slowness),
            rows=tuple(one.row for one in rows),
        )
        models.append(fit_layers(model, [one.layers_ms for one in rows], probed))
    return msgspec.structs.replace(target, latency=_merged(target.latency, models))


def spread() -> list[Network]:
    """The networks of ``SPREAD``."""
    return [
        zoo.network(model, width=width, resolution=resolution)
        for model, scales in SPREAD
        for width, resolution in scales
    ]


def time_networks(
    networks: Sequence[Network],
    target: Target,
    precision: Precision,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> tuple[list[Timed], float]:
    """Milliseconds of each network, and of its layers where a profiler tells, on this machine.

    And how many times as long as in its quick moments the machine took for the same in its slow ones.
    """
    tell = progress or (lambda stage, done, of: None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yardstick = make_yardstick(target.format, precision, folder)
        paths: list[Path] = []
        for done, network in enumerate(networks):
            tell(f"build {precision}", done, len(networks))
            place = folder / str(done)
            place.mkdir()
            paths.append(make_trial(network, target.format, precision, place))
        tell(f"build {precision}", len(networks), len(networks))
        shares: list[list[dict[str, float]]] = [[] for _ in networks]

        def profile(index: int) -> None:
            shares[index].append(_shares(paths[index], networks[index], num_threads))

        # What slows a machine down does not slow all layers alike: profiles are of several moments, too.
        visits = visit(
            paths, yardstick, num_threads, progress=partial(tell, f"measure {precision}"), also=profile
        )
    times_ms = [round(ms, 5) for ms in usual_ms(visits)]
    timed = [
        Timed(network, ms, {layer: ms * statistics.median(one[layer] for one in some) for layer in some[0]})
        for network, ms, some in zip(networks, times_ms, shares, strict=True)
    ]
    return timed, unsteadiness(visits)


def _shares(path: Path, network: Network, num_threads: int) -> dict[str, float]:
    """Each layer's part of the time, from 0 to 1; empty where the runtime has no profiler.

    A layer that no operator has the name of takes nothing: it was fused into another. Parts need not sum
    to 1: some operators belong to no layer by name.
    """
    try:
        operators = profile_file(path, num_threads, _PROFILE_RUNS).operators
    except UnsupportedError:
        return {}
    names = cost(network).layer_names()
    sums = dict.fromkeys(names, 0.0)
    for one, layer in zip(operators, layers_of([one.name for one in operators], names), strict=True):
        if layer:
            sums[layer] += one.ms
    total_ms = sum(one.ms for one in operators)
    return {layer: ms / total_ms for layer, ms in sums.items()} if total_ms else {}


def _note(slowness: float) -> str:
    if slowness < _UNSTEADY:
        return ""
    return (
        f"This machine took up to {slowness:.2f} times as long for the same work while it was measured. "
        "Times are of its quick moments; how networks compare is surer than how long they take."
    )


def _merged(known: Sequence[LatencyModel], new: Sequence[LatencyModel]) -> tuple[LatencyModel, ...]:
    """``new`` models, and those of ``known`` of other precisions and thread counts."""
    replaced = {(one.precision, one.num_threads) for one in new}
    return (*new, *(one for one in known if (one.precision, one.num_threads) not in replaced))


def _processor() -> str:
    machine = check(open_device("local")).get("machine", {})
    return str(machine.get("cpu") or machine.get("machine") or "an unknown processor")
