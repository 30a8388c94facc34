"""The story in one screen: build, capture, calibrate, quantize, emit, verify."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit import manifest
from edgekit.building import Built, build_graph
from edgekit.calibration_source import open_calibration
from edgekit.deployment import deploy
from edgekit.emit import EmitOptions, Emitted, emit
from edgekit.errors import InputError
from edgekit.evaluation import compare, evaluate, network_input
from edgekit.feeding import unpack
from edgekit.files import atomic_folder, write_atomically
from edgekit.gates import DropGate, open_drop_gate
from edgekit.graph.embedding import embed_normalization, of_pixels
from edgekit.graph.run import GraphRunner
from edgekit.images import normalize, to_batch
from edgekit.manifest import Manifest, ManifestArtifact
from edgekit.options import CALIBRATED, INTEGER, SUFFIXES, CalibrationSet, ExportOptions, Format, Precision
from edgekit.planning import Exported, apply_choices, describe_plan, reach_drop, stays_float
from edgekit.quantize import (
    ActivationParams,
    Observation,
    QuantizationResult,
    QuantizeOptions,
    observe,
    pixel_params,
    quantize,
)
from edgekit.quantize.calibration import CalibrationData
from edgekit.quantize.conditioning import Conditioned, condition
from edgekit.quantize.options import check_stages
from edgekit.quantize.overlap import shared_images
from edgekit.quantize.plan import make_plan
from edgekit.quantize.separate_scales import separate_scales
from edgekit.quantize.spare import Stagger
from edgekit.quantize.weight_rounding import round_weights
from edgekit.resources import cache_folder
from edgekit.results import STAGES, Artifact, ExportResult, MixedPlan, Parity, RangeChoice
from edgekit.saturation import may_add_in_pairs, saturates_here, saturation_warnings
from edgekit.target import Target, resolve
from edgekit.verification import check_same_answers, output_steps, verify_artifact

__all__ = ["compare", "evaluate", "export"]

Progress = Callable[[str, int, int], None]

_LABELS = "labels.txt"
_LARGEST_SEED = 2**63 - 1  # that torch's generators take
_HELD_BACK_INT8 = 50  # images that an int8 export is verified on
_HELD_BACK_FLOAT = 8  # a float file differs from the network by rounding only


def export(
    model: str, options: ExportOptions = ExportOptions(), progress: Progress | None = None
) -> ExportResult:
    """Make files of ``model`` in the formats and precision of ``options``, each checked in its runtime.

    The files, ``manifest.json`` and ``labels.txt`` appear in ``options.out_dir`` together or not at all.
    For a microcontroller, C++ source of its file is among them.
    Raises an :class:`~edgekit.errors.EdgekitError`: InputError for what cannot be used, UnsupportedError for
    a file that the target refuses and ``force`` does not override, CheckError when a file does not answer
    like the network or ``max_drop`` is exceeded, OutputError when it cannot be written.
    """
    _check_numbers(options)
    check_stages(options.skip_stages)
    targets = resolve(options.target)
    jobs = [(target.format, target.precision(options.precision)) for target in targets]
    needs_int8 = any(precision in INTEGER for _, precision in jobs)
    calibrates = any(precision in CALIBRATED for _, precision in jobs)
    clock = _Clock()
    built = build_graph(model, options, progress)
    clock.seconds.update(built.seconds)
    if needs_int8:
        built = replace(built, graph=separate_scales(built.graph))
    gate = open_drop_gate(built, options)
    with atomic_folder(options.out_dir) as folder:
        manifest.extend(options.out_dir, _manifest(built, ()))  # another network's folder is refused first
        with clock.stage("calibrate"):
            data = open_calibration(built, options, progress)
            calibration = data.identity if calibrates else None
        if any(precision == "int8" for _, precision in jobs):
            with clock.stage("calibrate"):
                conditioned = _condition(built, data, options)
            built = replace(built, graph=conditioned.model)
        else:
            conditioned = Conditioned(built.graph)
        chosen = _quantize_options(options, targets)
        emit_all = _exporter(built, jobs, options, chosen, calibration, clock, progress)
        if needs_int8:
            made = emit_all(
                _observe(built, data, jobs, conditioned.staggers, options, clock, progress), folder
            )
            plan = describe_plan(made)
            if gate is not None:
                with clock.stage("plan"):
                    made, reached = reach_drop(
                        made, gate, emit_all, folder, timed=options.time_plan, progress=progress
                    )
                plan = reached or plan
            quantized, emitted = made.quantized, made.emitted
        else:
            quantized, plan, source = None, None, built
            if calibrates:
                with clock.stage("quantize"):
                    source = replace(built, graph=_round_weights(built, data, options, progress))
            with clock.stage("emit"):
                emitted = tuple(_emit(source, None, job, options, calibration, folder) for job in jobs)
        deployments = [
            deploy(target, item.path, force=options.force)
            for target, item in zip(targets, emitted, strict=True)
        ]
        with clock.stage("verify"):
            artifacts, warnings = _verify(built, quantized, data, emitted, chosen, progress)
            warnings += gate.check(emitted, progress) if gate is not None else ()
        path = _write_manifest(built, artifacts, plan, calibration, folder, options.out_dir)
    return ExportResult(
        model=built.model.name,
        artifacts=tuple(replace(a, path=options.out_dir / a.path.name) for a in artifacts),
        seconds=clock.finish(),
        manifest=options.out_dir / path.name,
        warnings=(
            *(refusal for one in deployments for refusal in one.warnings),
            *built.warnings,
            *saturation_warnings(artifacts, chosen),
            *_calibration_warnings(data, calibrates),
            *(_overlap_warnings(data, gate) if gate is not None and needs_int8 else ()),
            *warnings,
        ),
        plan=plan,
        sources=tuple(options.out_dir / path.name for one in deployments for path in one.sources),
        ranges=_range_choice(quantized),
    )


def _range_choice(quantized: QuantizationResult | None) -> RangeChoice | None:
    if quantized is None or not quantized.report.trial_sqnr_db:
        return None
    return RangeChoice(quantized.report.ranges, quantized.report.trial_sqnr_db)


def _check_numbers(options: ExportOptions) -> None:
    if options.embed_preprocessing and options.input_type not in (None, "uint8"):
        raise InputError(
            f"input type {options.input_type} was asked of a network that takes pixels, expected uint8",
            hint="leave --input-type or --embed-preprocessing out",
        )
    if "range-choice" in options.skip_stages and options.ranges != ExportOptions.ranges:
        raise InputError(
            f"ranges {options.ranges} were asked for, and that their choice be skipped",
            hint="leave --ranges or --skip-stage range-choice out",
        )
    if options.samples < 1:
        raise InputError(
            f"samples is {options.samples}, expected at least 1", hint="100 images are usually enough"
        )
    if not 0 <= options.seed <= _LARGEST_SEED:
        raise InputError(
            f"seed is {options.seed}, expected 0 to {_LARGEST_SEED}",
            hint="try 0",
        )


@dataclass
class _Clock:
    """Seconds of each stage, and of all of them."""

    seconds: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile, without the seconds of stages within."""
        start, before = time.perf_counter(), sum(self.seconds.values())
        yield
        within = sum(self.seconds.values()) - before
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start - within

    def finish(self) -> dict[str, float]:
        return {**dict.fromkeys(STAGES, 0.0), **self.seconds, "total": time.perf_counter() - self.start}


def _condition(built: Built, data: CalibrationData, options: ExportOptions) -> Conditioned:
    """The network in numbers that quantize better; it computes the same."""
    plan = make_plan(built.graph, stays_float(built.graph, options))
    plan = apply_choices(plan, options, is_wide=False)
    return condition(built.graph, plan, built.feeding.feed_all(data), skip=options.skip_stages)


def _observe(
    built: Built,
    data: CalibrationData,
    jobs: Sequence[tuple[Format, Precision]],
    staggers: Sequence[Stagger],
    options: ExportOptions,
    clock: _Clock,
    progress: Progress | None,
) -> Observation:
    with clock.stage("calibrate"):
        floats = stays_float(built.graph, options)
        images = built.feeding.feed_all(data)
        observation = observe(
            built.graph,
            images,
            floats=floats,
            staggers=staggers,
            keeps_images=options.effort == "high",
            progress=progress,
            total=len(data),
        )
        is_wide = any(precision == "int16" for _, precision in jobs)
        return replace(observation, plan=apply_choices(observation.plan, options, is_wide=is_wide))


def _quantize_options(options: ExportOptions, targets: Sequence[Target]) -> QuantizeOptions:
    per_tensor = options.per_tensor_weights or any(target.per_tensor_weights for target in targets)
    chosen = QuantizeOptions(
        per_tensor_weights=per_tensor,
        reduce_range=options.reduce_range,
        ranges=options.ranges,
        effort=options.effort,
        seed=options.seed,
    )
    if not any(may_add_in_pairs(target, options.precision) for target in targets):
        chosen = replace(chosen, pair_sums=False)
    return chosen.without(options.skip_stages)


def _round_weights(
    built: Built, data: CalibrationData, options: ExportOptions, progress: Progress | None
) -> ir.Model:
    chosen = QuantizeOptions().without(options.skip_stages)
    return round_weights(built.graph, built.feeding.feed_all(data), chosen, progress)


def _exporter(
    built: Built,
    jobs: Sequence[tuple[Format, Precision]],
    options: ExportOptions,
    quantize_options: QuantizeOptions,
    calibration: CalibrationSet | None,
    clock: _Clock,
    progress: Progress | None,
) -> Callable[[Observation, Path], Exported]:
    """From what calibration saw to files in a folder."""
    params: ActivationParams = pixel_params(built.preprocessing)

    def emit_all(observation: Observation, folder: Path) -> Exported:
        with clock.stage("quantize"):
            quantized = quantize(
                built.graph,
                observation,
                quantize_options,
                input_params=params,
                progress=progress,
                folder=cache_folder() / "learning",
            )
        with clock.stage("emit"):
            emitted = tuple(_emit(built, quantized, job, options, calibration, folder) for job in jobs)
        return Exported(built.graph, observation, quantized, emitted)

    return emit_all


def _emit(
    built: Built,
    quantized: QuantizationResult | None,
    job: tuple[Format, Precision],
    options: ExportOptions,
    calibration: CalibrationSet | None,
    folder: Path,
) -> Emitted:
    format_, precision = job
    graph: ir.Model = quantized.model if quantized is not None and precision in INTEGER else built.graph
    graph, preprocessing = unpack(graph), built.preprocessing
    if options.embed_preprocessing:
        graph = embed_normalization(graph, preprocessing)
        preprocessing = of_pixels(preprocessing)
    emit_options = EmitOptions(
        precision=precision,
        input_type="uint8" if options.embed_preprocessing and precision == "int8" else options.input_type,
        output_type=options.output_type,
        takes_pixels=options.embed_preprocessing,
        name=built.model.name,
        preprocessing=preprocessing,
        labels=built.labels,
        calibration=calibration if precision in CALIBRATED else None,
        description=f"{built.model.name} at {built.model.resolution} × {built.model.resolution}, {precision}",
    )
    emitted = emit(
        graph, folder / f"{built.model.name}_{precision}{SUFFIXES[format_]}", format_, emit_options
    )
    normalization: Literal["embedded", "external"] = "external"
    if options.embed_preprocessing:
        normalization = "embedded"
        emitted = replace(emitted, input=replace(emitted.input, dtype="uint8", scale=1.0, zero_point=0))
    return replace(emitted, input=replace(emitted.input, normalization=normalization))


def _verify(
    built: Built,
    quantized: QuantizationResult | None,
    data: CalibrationData,
    emitted: Sequence[Emitted],
    chosen: QuantizeOptions,
    progress: Progress | None,
) -> tuple[list[Artifact], list[str]]:
    """Every file against the fp32 graph on images that did not calibrate, as far as there are any."""
    limit = _HELD_BACK_FLOAT if quantized is None else _HELD_BACK_INT8
    held_back = data.held_back(limit)
    warnings = []
    if held_back is None and quantized is not None:
        warnings.append(
            f"all {len(data)} images calibrated, so the files are checked on the same ones: give more images "
            "or fewer --samples to hold some back"
        )
    images = list(islice((data if held_back is None else held_back).pixels(), limit))
    runner = GraphRunner(built.graph, num_threads=None)
    batches = [to_batch(normalize(pixels, built.preprocessing)) for pixels in images]
    fed_images = list(built.feeding.feed_all(batches))
    reference = np.stack([_flat(runner.run(batch)) for batch in fed_images])
    artifacts, answers = [], []
    for done, item in enumerate(emitted, 1):
        fed = [built.feeding.parts(row) for row in fed_images]
        if item.input.normalization == "embedded":
            fed = [(network_input(pixels, built.preprocessing, item.input),) for pixels in images]
        parity, logits = verify_artifact(item, reference, fed)
        answers.append((item, logits))
        artifacts.append(_artifact(item, parity))
        if progress is not None:
            progress("verify", done, len(emitted))
    if quantized is not None:
        exact = [
            (item, logits)
            for item, logits in answers
            if not saturates_here(item.format, item.precision, chosen)
        ]
        check_same_answers(exact, reference, output_steps(quantized.model, answers[0][1]))
    return artifacts, warnings


def _flat(answers: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """The numbers of all outputs."""
    return np.concatenate([np.asarray(array, np.float32).reshape(-1) for array in answers.values()])


def _artifact(emitted: Emitted, parity: Parity) -> Artifact:
    return Artifact(
        path=emitted.path,
        format=emitted.format,
        precision=emitted.precision,
        size_bytes=emitted.size_bytes,
        sha256=emitted.sha256,
        input=emitted.input,
        output=emitted.output,
        parity=parity,
        transposes=cast("int | None", emitted.details.get("transposes")),
        more_inputs=emitted.more_inputs,
        more_outputs=emitted.more_outputs,
    )


def _overlap_warnings(data: CalibrationData, gate: DropGate) -> list[str]:
    shared = shared_images(data.files, gate.labels)
    if not shared:
        return []
    return [
        f"{len(shared)} of the {len(gate.labels)} images of --data calibrated too ({shared[0].name} …): the "
        "drop on them says less than on others"
    ]


def _calibration_warnings(data: CalibrationData, calibrates: bool) -> list[str]:
    warnings = data.warnings() if calibrates else []
    if data.is_synthetic and calibrates:
        warnings.append(f"calibrated on {data.description}: give --calibration FOLDER with your own images")
    if calibrates and len(data) == 1:
        warnings.append("calibrated on one image, which shows few of the ranges: give a hundred")
    if calibrates and all(pixels.min() == pixels.max() for pixels in data.pixels()):
        warnings.append("every calibration image is of one colour: give images like those that will be seen")
    if data.skipped:
        names = ", ".join(skipped.path.name for skipped in data.skipped[:3])
        warnings.append(f"{len(data.skipped)} calibration images could not be read: {names}")
    return warnings


def _write_manifest(
    built: Built,
    artifacts: Sequence[Artifact],
    plan: MixedPlan | None,
    calibration: CalibrationSet | None,
    folder: Path,
    out_dir: Path,
) -> Path:
    if built.labels is not None:
        write_atomically(folder / _LABELS, "\n".join(built.labels) + "\n")
    return manifest.write(manifest.extend(out_dir, _manifest(built, artifacts, plan, calibration)), folder)


def _manifest(
    built: Built,
    artifacts: Sequence[Artifact],
    plan: MixedPlan | None = None,
    calibration: CalibrationSet | None = None,
) -> Manifest:
    kept = {} if plan is None else plan.kept
    floats, wide = (
        tuple(name for name, kept_as in kept.items() if kept_as == precision)
        for precision in ("float", "int16")
    )
    entries = tuple(
        ManifestArtifact(
            *(a.path.name, a.format, a.precision, a.size_bytes, a.sha256, a.input, a.output),
            float_layers=floats if a.precision in INTEGER else (),
            int16_layers=wide if a.precision in INTEGER else (),
            more_inputs=a.more_inputs,
            more_outputs=a.more_outputs,
            calibration=calibration if a.precision in CALIBRATED else None,
        )
        for a in artifacts
    )
    return Manifest(built.model, built.preprocessing, _LABELS if built.labels else None, entries)
