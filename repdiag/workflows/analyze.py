"""Composition of one analysis: checkpoint -> embeddings -> table -> judgement. Wires; computes nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from repdiag.checkpoints.encoder import Encoder, EncoderInfo
    from repdiag.config.views import EvaluationSettings
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.data.image_split import ImageSplit
    from repdiag.diagnosis.verdict import Diagnosis
    from repdiag.metrics.evaluate import Wanted
    from repdiag.workflows.targets import Target

UNTRAINED = " (untrained)"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """What an analysis may be told. Device, batch size, workers and processes change no value."""

    data: str | None = None
    views: str | None = None
    read_options: ReadOptions = field(default_factory=ReadOptions)
    per_class: int = 50
    bank_per_class: int = 500
    seed: int = 0
    limit: int | None = None
    untrained: bool = True
    protocol: str | None = None
    per_row: bool = False
    device: str = "cpu"
    batch_size: int = 256
    workers: int = 0
    fast: bool = False
    cache: bool = True
    download: bool = False
    strict_data: bool = False
    distributed: bool = False

    def __post_init__(self) -> None:
        if self.protocol is not None:
            from repdiag.metrics.protocols import get_protocol

            get_protocol(self.protocol)  # a typo is said before anything is extracted

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the values depend on."""
        names = ("data", "views", "per_class", "bank_per_class", "seed", "limit", "untrained", "protocol", "fast")
        return {"read_options": self.read_options.to_dict(), **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The images of one analysis: equal galleries of train and val with views, and kNN bank and queries without."""

    train: ImageSplit
    val: ImageSplit
    bank: ImageSplit
    queries: ImageSplit

    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprint of each part: another one means other images or rows."""
        return {name: getattr(self, name).fingerprint for name in ("train", "val", "bank", "queries")}

    def excluded(self) -> list[dict[str, str]]:
        """Return every image that was left out, once, with the reason."""
        found = {str(item.path): item.reason for split in (self.bank, self.queries) for item in split.excluded}
        return [{"path": path, "reason": reason} for path, reason in sorted(found.items())]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Everything one analysis found; `embeddings` by split; `untrained` is the val set of the untrained copy."""

    info: EncoderInfo
    table: MetricTable
    diagnosis: Diagnosis
    embeddings: dict[str, EmbeddingSet]
    per_class: pd.DataFrame
    per_row: pd.DataFrame | None = None
    untrained: EmbeddingSet | None = None
    reference: EncoderInfo | None = None
    rows: Rows | None = None
    excluded: list[dict[str, str]] = field(default_factory=list)


def analyze_checkpoint(
    path: Path,
    options: AnalysisOptions,
    *,
    name: str | None = None,
    reference: Target | None = None,
    counting: Any = None,
) -> Analysis:
    """Load, extract, evaluate and judge one checkpoint, beside a reference where one is named.

    Under torchrun every process makes this call; extraction and passes over pairs are shared among them.
    """
    from repdiag.checkpoints.load import load_with_options
    from repdiag.core.distributed.world import join_world

    encoder = load_with_options(path, options.read_options, name=name)
    beside = (
        None if reference is None else load_with_options(reference.path, reference.read_options, name=reference.name)
    )
    spec = options.data or encoder.info.training.get("data")
    if spec is None:
        raise UsageError(
            f"{path.name} does not say which images it was trained on",
            hint="name some with --data, for example --data imagefolder:PATH; `repdiag datasets` lists the rest",
        )
    rows = choose_rows(str(spec), options)
    with join_world(on_gpu=options.device.startswith("cuda")) as world:
        together = replace(options, distributed=world.size > 1)
        return analyze_encoder(encoder, rows, together, reference=beside, counting=counting)


def analyze_encoder(
    encoder: Encoder, rows: Rows, options: AnalysisOptions, *, reference: Encoder | None = None, counting: Any = None
) -> Analysis:
    """Extract, evaluate and judge one encoder on the given rows, with its untrained copy beside it.

    A `reference` is read on the same val images, by paired tests.
    """
    from repdiag.diagnosis.comparisons import hold_against
    from repdiag.diagnosis.diagnose import UNTRAINED as COPY
    from repdiag.diagnosis.diagnose import judge

    sets = extract_sets(encoder, rows, options, counting=counting)
    table, per_class, per_row = evaluate_sets(sets, options)
    untrained, others = None, {}
    if options.untrained:
        from repdiag.checkpoints.untrained import untrained_copy

        copy = untrained_copy(encoder, seed=options.seed)
        copy.info = replace(copy.info, name=encoder.info.name + UNTRAINED)
        fresh = extract_sets(copy, rows, options, counting=counting)
        table += evaluate_sets(fresh, replace(options, per_row=False))[0]
        untrained = others[COPY] = fresh["val"]
    if reference is not None:
        found = extract_sets(reference, rows, options, only=("val",), counting=counting)
        others[reference_name(reference.info.name)] = found["val"]
    judged = judge(table.where(checkpoint=encoder.info.name))
    return Analysis(
        info=encoder.info,
        table=table,
        diagnosis=hold_against(judged, sets["val"], others, seed=options.seed),
        embeddings={"train": sets["train"], "val": sets["val"]},
        per_class=per_class,
        per_row=per_row,
        untrained=untrained,
        reference=None if reference is None else reference.info,
        rows=rows,
        excluded=rows.excluded(),
    )


def reference_name(name: str) -> str:
    """Return what a reference checkpoint is called in evidence and sentences."""
    return f"reference {name}"


def choose_rows(spec: str, options: AnalysisOptions) -> Rows:
    """Open the dataset and choose equal, class-balanced galleries from train and val, by seed alone."""
    from repdiag.data.datasets import open_dataset
    from repdiag.data.image_split import equal_galleries

    train, val = (
        open_dataset(spec, split, download=options.download, strict=options.strict_data) for split in ("train", "val")
    )
    if train.class_names != val.class_names:
        raise DataError(
            f"train and val of {spec} have different classes",
            found=f"{len(train.class_names)} and {len(val.class_names)}",
        )
    per_class, bank_per_class = options.per_class, options.bank_per_class
    if options.limit is not None:
        limit = _rows_a_class(options.limit, len(train.class_names))
        per_class, bank_per_class = min(per_class, limit), min(bank_per_class, limit)
    train_gallery, val_gallery = equal_galleries(train, val, per_class=per_class, seed=options.seed)
    return Rows(
        train=train_gallery,
        val=val_gallery,
        bank=train.balanced(bank_per_class, seed=options.seed),
        queries=val.balanced(bank_per_class, seed=options.seed),
    )


def _rows_a_class(limit: int, classes: int) -> int:
    """Return how many images of each class a limit on all of them leaves: two at least, which is said."""
    if limit < 2 * classes:
        _LOG.warning(
            "--limit %d is less than two images of each of the %d classes, which most metrics need: %d are used",
            *(limit, classes, 2 * classes),
        )
    return max(2, limit // classes)


def extract_sets(
    encoder: Encoder,
    rows: Rows,
    options: AnalysisOptions,
    *,
    only: Sequence[str] = ("train", "val", "bank", "queries"),
    counting: Any = None,
) -> dict[str, EmbeddingSet]:
    """Extract the sets of one encoder; the cache answers for what was extracted before."""
    from repdiag.config.views import EvaluationSettings
    from repdiag.embeddings.cache import EmbeddingCache, cache_root
    from repdiag.embeddings.extract import extract

    preset = options.views or rows.train.preset
    with_views = EvaluationSettings(preset=preset, seed=options.seed)
    plain = EvaluationSettings(preset=preset, seed=options.seed, views=0)
    plan: Sequence[tuple[str, ImageSplit, EvaluationSettings]] = (
        ("train", rows.train, with_views),
        ("val", rows.val, with_views),
        ("bank", rows.bank, plain),
        ("queries", rows.queries, plain),
    )
    sets = {}
    for role, split, settings in plan:
        if role not in only:
            continue
        with counting(f"{encoder.info.name}: {role}") if counting else _silent() as progress:
            sets[role] = extract(
                encoder,
                split,
                settings=settings,
                device=options.device,
                batch_size=options.batch_size,
                workers=options.workers,
                fast=options.fast,
                cache=EmbeddingCache(cache_root()) if options.cache else None,
                distributed=options.distributed,
                progress=progress,
            )
    return sets


def evaluate_sets(
    sets: dict[str, EmbeddingSet], options: AnalysisOptions
) -> tuple[MetricTable, pd.DataFrame, pd.DataFrame | None]:
    """Evaluate one encoder: val against train, then train by itself, then kNN. Return the table, its parts by class,
    and its parts by row where they are asked for.
    """
    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.metrics.breakdown import class_frame, row_frame
    from repdiag.metrics.evaluate import evaluate_full

    sets = _on_device(sets, options.device)
    alone, paired, banked = _wanted(options.protocol, projected=sets["val"].projections is not None)
    plan = (
        (sets["val"], [*alone, *paired], sets["train"]),
        (sets["train"], alone, None),
        (sets["queries"], banked, sets["bank"]),
    )
    found = [
        (evaluate_full(rows, wanted, bank=bank, seed=options.seed, distributed=options.distributed), rows)
        for rows, wanted, bank in plan
    ]
    table = MetricTable.concat(evaluation.table for evaluation, _ in found)
    by_class = pd.concat([class_frame(*pair) for pair in found], ignore_index=True)
    by_row = pd.concat([row_frame(*pair) for pair in found], ignore_index=True) if options.per_row else None
    return table, by_class, by_row


def _on_device(sets: dict[str, EmbeddingSet], device: str) -> dict[str, EmbeddingSet]:
    """Return the sets where the encoder ran, so that metrics run there too; as they are if it has no room for them."""
    import torch

    try:
        return {role: found.to(device) for role, found in sets.items()}
    except torch.OutOfMemoryError:
        return sets


def _wanted(protocol: str | None, *, projected: bool) -> tuple[list[Wanted], list[Wanted], list[Wanted]]:
    """Return what is evaluated of one set alone, of equal galleries of train and val, and against the kNN bank.

    Metrics that look at projections alone are left out for an encoder that came without a projection head.
    """
    from repdiag.metrics.protocols import get_protocol
    from repdiag.metrics.registry import get, load_all

    wanted: list[Wanted] = [name for name, metric in load_all().items() if metric.default]
    if protocol is not None:
        wanted = list(get_protocol(protocol).requests)
    alone: list[Wanted] = []
    paired: list[Wanted] = []
    banked: list[Wanted] = []
    for item in wanted:
        metric = get(item if isinstance(item, str) else item[0])
        if not projected and "features" not in metric.spaces:
            continue
        if metric.second is None:
            alone.append(item)
        elif metric.second == "bank":
            (paired if "other_views" in metric.takes else banked).append(item)
    return alone, paired, banked


def _silent() -> Any:
    from contextlib import nullcontext

    return nullcontext(None)
