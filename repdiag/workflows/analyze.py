"""`analyze`: an encoder on images, or vectors as they are -> numbers and a judgement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import UsageError
from repdiag.core.metric_table import reference_name, untrained_name
from repdiag.workflows.analysis import Analysis
from repdiag.workflows.classifier_check import classifier_findings, classifier_note, classifier_top1
from repdiag.workflows.measure import evaluate_sets, extract_sets, left_out_note
from repdiag.workflows.options import AnalysisOptions
from repdiag.workflows.rows import AnalyzedImages, choose_rows

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.workflows.targets import Target


def analyze(
    source: Any,
    *,
    data: str | None = None,
    labels: Any = None,
    reference: Any = None,
    metrics: Sequence[Any] | Mapping[str, Any] | str | None = None,
    name: str | None = None,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> Analysis:
    """Measure and judge one encoder, or one set of vectors.

    `source` is an encoder or a set of vectors. An encoder is a checkpoint file, the folder of a training run, a name in
    ./checkpoints_manifest.yaml, or an `Encoder`. Vectors are an array [N, D], a tensor, a data frame, an
    `EmbeddingSet`, or a file. `data` names the images for an encoder ("digits", "imagefolder:PATH"; see
    `repdiag.open_dataset`). `labels` holds one label per vector. `reference` is another source of the same kind,
    measured on the same rows. `metrics` replaces the default metrics of vectors. `options` are the fields of
    `AnalysisOptions` for encoders (per_class, limit, device, ...) and the arguments of `analyze_vectors` for vectors
    (bank, groups, ...).

    Raises `RepdiagError`, which says what was wrong, what was found and what to do.

    Example:
        >>> import numpy as np
        >>> import repdiag
        >>> rng = np.random.default_rng(0)
        >>> rows = np.repeat(np.eye(4), 30, axis=0) + 0.1 * rng.normal(size=(120, 4))
        >>> analysis = repdiag.analyze(rows, labels=np.repeat(np.arange(4), 30))
        >>> analysis.diagnosis.collapse.verdict
        'not collapsed'
    """
    from repdiag.workflows.speaking import speaker
    from repdiag.workflows.vectors import analyze_vectors, is_vectors

    told = speaker(progress=progress)
    if is_vectors(source):
        if data is not None:
            raise UsageError("vectors need no data", found=f"data={data!r}", hint="give labels with labels=")
        return analyze_vectors(
            source,
            labels,
            reference=reference,
            metrics=metrics,
            name=name,
            seed=seed,
            counting=told.counting,
            **options,
        )
    for given, value in (("labels", labels), ("metrics", metrics)):
        if value is not None:
            raise UsageError(f"{given}= goes with vectors", hint="images take their classes from the data")
    chosen = AnalysisOptions(data=data, seed=seed, **options)
    return analyze_checkpoint(source, chosen, name=name, reference=reference, counting=told.counting)


def analyze_checkpoint(
    source: Any,
    options: AnalysisOptions,
    *,
    name: str | None = None,
    reference: Any = None,
    counting: Any = None,
    say: Callable[[str], None] | None = None,
) -> Analysis:
    """Load, extract, evaluate and judge one checkpoint, beside a reference where one is named.

    Under torchrun every process makes this call; extraction and passes over pairs are shared among them.
    """
    from repdiag.core.distributed.world import join_world
    from repdiag.core.progress import listening
    from repdiag.workflows.planning import Planned, plan_rows

    encoder, training = load_source(source, options, name=name)
    plain = replace(options, read_options=ReadOptions())
    beside = None if reference is None else load_source(reference, plain)
    spec = images_of(encoder, options.data)
    with join_world(on_gpu=options.device.startswith("cuda")) as world, listening(counting):
        together = replace(options, distributed=world.size > 1)
        other = None if beside is None else beside[0]
        if options.per_class is None:
            planned = plan_rows(spec, [lambda: encoder], together, world=world, say=say)
        else:
            planned = Planned(rows=choose_rows(spec, options))
        found = analyze_encoder(encoder, planned.rows, together, reference=other, known=planned.known_of(0))
    return replace(found, training=training)


def analyze_encoder(
    encoder: Encoder,
    rows: AnalyzedImages,
    options: AnalysisOptions,
    *,
    name: str | None = None,
    reference: Encoder | None = None,
    known: Mapping[str, EmbeddingSet] | None = None,
    counting: Any = None,
) -> Analysis:
    """Extract, evaluate and judge one encoder on the given rows, with its untrained copy beside it.

    A `reference` is read on the same val images, by paired tests. `known` are sets of these rows' pilot.
    """
    from repdiag.core.progress import listening
    from repdiag.metrics.effort import at_effort

    if name is not None:
        encoder.info = replace(encoder.info, name=name)
    with listening(counting), at_effort(quick=options.quick):
        return _analyzed(encoder, rows, options, reference=reference, known=known)


def _analyzed(
    encoder: Encoder,
    rows: AnalyzedImages,
    options: AnalysisOptions,
    *,
    reference: Encoder | None,
    known: Mapping[str, EmbeddingSet] | None,
) -> Analysis:
    from repdiag.checkpoints.untrained import has_weights, untrained_copy
    from repdiag.diagnosis.against_reference import held_against_reference
    from repdiag.diagnosis.comparisons import hold_against
    from repdiag.diagnosis.diagnose import UNTRAINED as COPY
    from repdiag.diagnosis.diagnose import judge
    from repdiag.diagnosis.pair_answers import EncoderSets
    from repdiag.workflows.checks import check_preprocessing, check_sets, trained_with_labels
    from repdiag.workflows.drift_beside import drift_beside, drift_sentences
    from repdiag.workflows.row_sample import precision_reached, quick_note

    name = encoder.info.name
    alone = ("its weights cannot be re-initialised, so there is no untrained copy",)
    sets = extract_sets(encoder, rows, options, known=known)
    table, per_class, per_row = evaluate_sets(sets, options)
    judged = judge(table, trained_with_labels=trained_with_labels(encoder), top1=classifier_top1(encoder, sets))
    row_checks, findings = check_sets(sets, search=False, seed=options.seed)
    prepared = (*check_preprocessing(encoder, rows, options), *classifier_findings(encoder, sets["val"]))
    findings = (*prepared, *findings)
    untrained, others = None, {}
    if options.untrained and has_weights(encoder):
        copy = untrained_copy(encoder, seed=options.seed)
        copy.info = replace(copy.info, name=untrained_name(name))
        fresh = extract_sets(copy, rows, options, lean=True)
        table += evaluate_sets(fresh, replace(options, per_row=False), judged=False)[0].with_role("untrained")
        untrained = others[COPY] = fresh["val"]
    drift = None
    if reference is not None:
        found = extract_sets(reference, rows, options, only=("train", "val"))
        others[reference_name(reference.info.name)] = found["val"]
    held = hold_against(judged, sets["val"], others, groups=options.groups, seed=options.seed)
    if reference is not None:
        mine, its = (EncoderSets(val=each["val"], train=each.get("train")) for each in (sets, found))
        called = reference_name(reference.info.name)
        drift = drift_beside(called, {called: found["val"], name: sets["val"]}, seed=options.seed)
        held = held_against_reference(held, mine, its, name=called, groups=options.groups, seed=options.seed)
    return Analysis(
        name=name,
        info=encoder.info,
        table=table,
        diagnosis=held.with_checks(findings).mute(options.mute),
        row_checks=row_checks,
        embeddings={role: sets[role] for role in ("train", "val") if role in sets},
        per_class=per_class,
        per_row=per_row,
        untrained=untrained,
        reference=None if reference is None else reference.info.to_dict(),
        drift=drift,
        rows=rows,
        excluded=rows.excluded(),
        notes=(
            *rows.notes(),
            *left_out_note(sets, options),
            *quick_note(quick=options.quick),
            *precision_reached(table, options.precision),
            *classifier_note(encoder, sets["val"]),
            *(() if drift is None else drift_sentences(drift)),
            *(alone if options.untrained and not has_weights(encoder) else ()),
        ),
        options=options.to_dict(),
    )


def images_of(encoder: Encoder, data: str | None) -> str:
    """Return the data that are named, else those that the encoder was trained on; refuse where neither is known."""
    spec = data or encoder.info.training.get("data")
    if spec is None:
        raise UsageError(
            f"{encoder.info.name} does not say which images it was trained on",
            hint="choose images with --data, such as --data imagefolder:PATH; `repdiag datasets` lists datasets",
        )
    return str(spec)


def load_source(source: Any, options: AnalysisOptions, *, name: str | None = None) -> tuple[Encoder, Path | None]:
    """Return the encoder of a checkpoint, a target or an encoder, and the folder of its training run, if it has one."""
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.checkpoints.load import load_with_options
    from repdiag.workflows.targets import Target, find_checkpoint, run_of

    if isinstance(source, Encoder):
        return source, None
    target: Target = source if isinstance(source, Target) else find_checkpoint(str(source), download=options.download)
    read = options.read_options.over(target.read_options)
    return load_with_options(target.path, read, name=name or target.name), run_of(target.path)
