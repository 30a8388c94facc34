"""``edgekit report`` as a function: from results files to a page, or its like in another form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.files import write_atomically
from edgekit.measure.record import AnyRecord, is_whole, read
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.recorded_network import zoo_network
from edgekit.report import html, text
from edgekit.report.contents import Sources, build
from edgekit.report.document import Document
from edgekit.report.regression import build_comparison, pairs_of
from edgekit.report.runs import LayerCost, Published, Run, join
from edgekit.results import JSON

if TYPE_CHECKING:
    from edgekit.measure.regression import Change

__all__ = ["SUFFIXES", "ReportOptions", "ReportResult", "published_networks", "report"]

SUFFIXES = (".html", ".md", ".csv", ".json")
_IMAGENET_CLASSES = 1000
_MOST_NETWORKS = 24


@dataclass(frozen=True)
class ReportOptions:
    """What :func:`report` writes; the fields are the flags of ``edgekit report``.

    ``max_drop`` are the points of top-1 that the recommended file may be behind the best; ``compare`` makes
    a regression report of two files, the older first, and ``fail_over`` asks which files take over
    1 + ``fail_over`` times as long as before.
    """

    title: str = ""
    max_drop: float = 1.0
    compare: bool = False
    fail_over: float | None = None


@dataclass(frozen=True)
class ReportResult:
    """What was written, and of how much.

    ``warnings`` are sentences about the input; ``regressions`` what ``fail_over`` asked for.
    """

    path: Path
    records: int
    document: Document
    warnings: tuple[str, ...] = ()
    regressions: tuple[Change, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        slower: list[JSON] = [
            {"artifact": one.record.artifact, "ratio": round(one.ratio.value, 5)} for one in self.regressions
        ]
        return {
            "path": self.path.as_posix(),
            "records": self.records,
            "answers": text.answers_json(self.document),
            "warnings": [*self.warnings, *self.document.notes],
            "regressions": slower,
        }


def report(paths: Sequence[Path], output: Path, options: ReportOptions = ReportOptions()) -> ReportResult:
    """Write the records of ``paths`` as ``output``: .html, .md, .csv or .json, by its suffix.

    Raises InputError for files that hold no records of this version and for another suffix,
    MissingExtraError where a page needs a package that is not there, and OutputError.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{output} has the suffix {output.suffix!r}, expected one of {', '.join(SUFFIXES)}")
    if options.compare and len(paths) != 2:
        raise InputError(
            f"{len(paths)} files were given to compare, expected two: the older one, the newer one"
        )
    if options.fail_over is not None and not options.compare:
        raise InputError("a limit was given, and nothing to compare", hint="add --compare")
    warnings: list[str] = []
    sets = [_records(path, warnings) for path in paths]
    records = [record for one in sets for record in one]
    if not records:
        raise InputError(
            f"there are no records in {', '.join(map(str, paths)) or 'no file'}",
            hint="edgekit benchmark model.tflite -o results.jsonl measures some",
        )
    regressions: list[Change] = []
    if options.compare:
        for path, one in zip(paths, sets, strict=True):
            if not one:
                raise InputError(f"there are no records in {path}, so there is nothing to compare")
        old, new = map(join, sets)
        document = build_comparison(old, new, title=options.title)
        if options.fail_over is not None:
            regressions = _regressions(old, new, options.fail_over)
    else:
        published = published_networks()
        runs = join(records, published)
        sources = Sources(published, _layers_of(runs))
        document = build(runs, sources, title=options.title, max_drop=options.max_drop)
    write_atomically(output, _written(output.suffix.lower(), document, records))
    return ReportResult(output, len(records), document, tuple(warnings), tuple(regressions))


def published_networks() -> tuple[Published, ...]:
    """The zoo's networks whose top-1 on ImageNet is published, at the scale that it was published for."""
    networks = []
    for name in zoo.names():
        entry = zoo.entry(name)
        network = zoo.network(name)
        if entry.published.top1 is not None and network.scale.num_classes == _IMAGENET_CLASSES:
            costs = cost(network)
            networks.append(Published(name, entry.family, costs.macs, costs.params, entry.published.top1))
    return tuple(networks)


def _records(path: Path, warnings: list[str]) -> list[AnyRecord]:
    records = read(path)
    last = path.read_bytes().rpartition(b"\n")[2].strip()
    if last and not is_whole(last):
        warnings.append(f"the last line of {path} was cut short and is left out; the others are there")
    return records


def _regressions(old: Sequence[Run], new: Sequence[Run], limit: float) -> list[Change]:
    """What became slower by the rule of ``edgekit benchmark --baseline``."""
    from edgekit.measure.regression import changes  # brings numpy, which a report does without

    timed = [(one.new.latency, one.old.latency) for one in pairs_of(old, new)]
    found = [changes([after], [before])[0] for after, before in timed if after and before]
    if not found:
        raise InputError("no file was timed in both, so none can be too slow")
    return [one for one in found if one.is_regression(limit)]


def _layers_of(runs: Sequence[Run]) -> dict[str, tuple[LayerCost, ...]]:
    """The layers of the zoo's networks among ``runs``, by :attr:`Run.network`; of others nothing is known."""
    found: dict[str, tuple[LayerCost, ...]] = {}
    for run in runs:
        if len(found) == _MOST_NETWORKS:
            break
        if run.network not in found and (network := zoo_network(run.model)) is not None:
            found[run.network] = tuple(
                LayerCost(row.name, row.op, row.activation_bytes, row.params, row.macs)
                for row in cost(network).layers()
            )
    return found


def _written(suffix: str, document: Document, records: Sequence[AnyRecord]) -> str:
    if suffix == ".html":
        return html.render(document)
    if suffix == ".md":
        return text.markdown(document)
    return text.csv_lines(records) if suffix == ".csv" else text.json_text(document, records)
