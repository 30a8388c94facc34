"""What ``edgekit scale --explain`` prints: where its numbers come from, so that they can be reproduced."""

from __future__ import annotations

from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.latency_model import LatencyModel
from edgekit.models import zoo
from edgekit.scaling import ScaleResult
from edgekit.search.accuracy import Law, law_of
from edgekit.search.compound import PAPER, RULES
from edgekit.search.space import BAND, RESOLUTION_STEP, SPACES, WIDTH_STEP, depths

__all__ = ["print_explanation"]


def print_explanation(result: ScaleResult) -> None:
    """Print the grid, the compound rule, the laws of accuracy and the latency model."""
    _print_space()
    _print_rule()
    _print_laws(result)
    if result.latency_model:
        _print_latency(result.latency_model)


def _print_space() -> None:
    _title("Search space")
    console.print_table(
        (Column("family"), Column("width"), Column("depth"), Column("resolution")),
        [
            (
                space.model,
                f"{space.widths[0]:g} to {space.widths[1]:g}",
                f"{depths()[0]:g} to {depths()[-1]:g}" if space.rule else "1",
                f"{space.resolutions[0]} to {space.resolutions[1]}",
            )
            for space in SPACES
        ],
    )
    console.print_line(
        f"Width in steps of {WIDTH_STEP:g}, resolution of {RESOLUTION_STEP} pixels; where that leaves more "
        "than 3 % of every budget, near the best, in steps of 0.001 and of two pixels."
    )
    console.print_line(
        f"With a compound rule each of the three stays within {BAND:g} steps of φ of it. "
        "Channels round to the nearest multiple of 8, never below 90 %; repeats round up."
    )


def _print_rule() -> None:
    _title("Compound rule: depth α^φ, width β^φ, resolution 224·γ^φ")
    rule = RULES["efficientnet"]
    console.print_line(
        f"α, β, γ = {rule.alpha:.4f}, {rule.beta:.4f}, {rule.gamma:.4f}; α·β²·γ² = "
        f"{rule.alpha * rule.beta**2 * rule.gamma**2:.3f}. On the paper's grid of 0.05: "
        f"{', '.join(f'{one:g}' for one in PAPER)} (arXiv 1905.11946)."
    )
    console.print_line("Published networks, width and depth to a tenth, resolution to a multiple of 4:")
    console.print_table(
        tuple(
            Column(title, is_number=title != "network")
            for title in ("network", "φ", "width", "depth", "pixels")
        ),
        [
            (name, f"{phi:g}", f"{scale.width:g}", f"{scale.depth:g}", str(scale.resolution))
            for rule in RULES.values()
            for name, phi in rule.phis.items()
            for scale in [rule.published(name)]
        ],
    )


def _print_laws(result: ScaleResult) -> None:
    _title("Accuracy: ln(-ln(top-1)) = intercept + Σ amplitude · x^-exponent")
    models = dict.fromkeys(candidate.model for candidate in result.best_of_families().values())
    for law in filter(None, map(law_of, models)):
        console.print_fields(_law_fields(law))
        console.print_line()


def _law_fields(law: Law) -> dict[str, str]:
    errors = law.leave_one_out
    terms = {"width": law.width, "depth": law.depth, "resolution": law.resolution}
    return {
        "family": zoo.family_of(law.reference),
        "intercept": f"{law.intercept:g}",
        **{name: f"{term.amplitude:g} · x^-{term.exponent:g}" for name, term in terms.items()},
        "error": f"{errors.mean:.2f} points in the mean, {errors.maximum:.2f} at most, rows left out"
        if errors
        else "",
        "rows": str(len(law.rows)),
        "source": law.source,
        "note": law.note,
    }


def _print_latency(model: LatencyModel) -> None:
    _title(f"Latency: {model.title}")
    errors = model.leave_one_out
    console.print_fields(
        {
            **{f"ns per {kind}": f"{price:g}" for kind, price in model.nanoseconds.items()},
            "error": f"{errors.median:g} % in the median, {errors.within_10:g} % of rows within 10 %"
            if errors
            else "",
            "rows": str(len(model.rows)),
            "source": model.source,
            "note": model.note,
        }
    )


def _title(text: str) -> None:
    console.print_line()
    console.print_line(text)
