"""The two expensive steps of an analysis: encoder and images -> embeddings, embeddings -> numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from repdiag.core.progress import stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from repdiag.checkpoints.encoder import Encoder
    from repdiag.config.views import EvaluationSettings
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.data.image_split import ImageSplit
    from repdiag.metrics.evaluate import Wanted
    from repdiag.workflows.options import AnalysisOptions
    from repdiag.workflows.rows import AnalyzedImages


def extract_sets(
    encoder: Encoder,
    rows: AnalyzedImages,
    options: AnalysisOptions,
    *,
    only: Sequence[str] = ("train", "val", "bank", "queries"),
    known: Mapping[str, EmbeddingSet] | None = None,
    lean: bool = False,
    clock: ExtractionClock | None = None,
) -> dict[str, EmbeddingSet]:
    """Extract the sets of one encoder; the cache answers for what was extracted before.

    `known` holds sets of the pilot that are there already. `lean` leaves out what only the judged encoder is read in:
    further views, and views of the bank. `clock` counts what goes through the encoder, and how long that takes.
    """
    sets: dict[str, EmbeddingSet] = {}
    for role, split in rows.parts().items():
        if role not in only:
            continue
        settings = rows.settings(role, preset=options.views or rows.val.preset, seed=options.seed, lean=lean)
        extracting = partial(extract_split, encoder, settings=settings, options=options, role=role, clock=clock)
        pilot = rows.pilot.get(role)
        first = None
        if pilot is not None and 0 < len(pilot) < len(split):
            first = known[role] if known and role in known else extracting(pilot)
        gallery = first if first is not None else sets.get(_GALLERY_OF.get(role, ""))
        rest, before = _not_yet_encoded(split, gallery, views=settings.views)
        if (
            known
            and before is None
            and role in known
            and known[role].provenance.dataset_fingerprint == split.fingerprint
        ):
            sets[role] = known[role]
            continue
        found = extracting(rest)
        sets[role] = found if before is None else _joined(split, before, found)
    return sets


@dataclass
class ExtractionClock:
    """What went through the encoder, views included, and how long it took."""

    images: int = 0
    seconds: float = 0.0


def extract_split(
    encoder: Encoder,
    split: ImageSplit,
    *,
    settings: EvaluationSettings,
    options: AnalysisOptions,
    role: str,
    clock: ExtractionClock | None = None,
) -> EmbeddingSet:
    """Extract one set under the name of its role; the cache answers for what was extracted before."""
    from repdiag.embeddings.cache import EmbeddingCache, cache_root
    from repdiag.embeddings.extract import extract

    begun, encoded = monotonic(), 0
    with stage(f"{encoder.info.name}: {role}") as tick:

        def progress(done: int, total: int) -> None:
            nonlocal encoded
            encoded = done
            tick(done, total)

        found = extract(
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
    if clock is not None and encoded:
        clock.images += encoded * (1 + settings.views)
        clock.seconds += monotonic() - begun
    return found


# The sets that hold a gallery's images again.
_GALLERY_OF = {"bank": "train", "queries": "val"}


def _not_yet_encoded(
    split: ImageSplit, gallery: EmbeddingSet | None, *, views: int
) -> tuple[ImageSplit, EmbeddingSet | None]:
    """Return the images that the gallery has not, and the gallery; all of them and None where it is no part of them."""
    import numpy as np

    if gallery is None or gallery.row_ids is None or (0 if gallery.views is None else len(gallery.views)) < views:
        return split, None
    known = np.isin(split.row_ids, gallery.row_ids)
    whole = int(known.sum()) == len(gallery) and len(gallery) < len(split)
    return (split.subset(~known), gallery) if whole else (split, None)


def _joined(split: ImageSplit, known: EmbeddingSet, rest: EmbeddingSet) -> EmbeddingSet:
    """Return the set of a split out of its two parts, in the split's order; with views where the rest has them."""
    import numpy as np
    import torch

    assert known.row_ids is not None
    assert rest.row_ids is not None
    ids = np.concatenate([known.row_ids, rest.row_ids])
    place = np.argsort(ids, kind="stable")[np.searchsorted(np.sort(ids), split.row_ids)]

    def together(name: str, *, axis: int = 0) -> Any:
        parts = [getattr(known, name), getattr(rest, name)]
        if any(part is None for part in parts):
            return None
        if axis:  # of views, no more than both have
            parts = [part[: min(map(len, parts))] for part in parts]
        return torch.cat(parts, dim=axis).index_select(axis, torch.from_numpy(place))

    return replace(
        rest,
        features=together("features"),
        projections=together("projections"),
        views=together("views", axis=1),
        view_projections=together("view_projections", axis=1),
        labels=together("labels"),
        row_ids=split.row_ids,
        provenance=replace(rest.provenance, dataset_fingerprint=split.fingerprint),
    )


_WANTS_ROWS, _WANTS_BANK = "islands", "pretext_gap"
_COSTLY = "sub_clusters"  # a quarter of an analysis of 10,000 images, and read of the judged split alone


def evaluate_sets(
    sets: dict[str, EmbeddingSet], options: AnalysisOptions, *, judged: bool = True
) -> tuple[MetricTable, pd.DataFrame, pd.DataFrame | None]:
    """Evaluate one encoder: val against train, then train by itself, then kNN. Return the table, its parts by class,
    and its parts by row where they are asked for. Pieces of classes are looked for where the encoder is `judged`.
    """

    from repdiag.core.metric_table import MetricTable
    from repdiag.metrics.breakdown import class_frame, row_frame
    from repdiag.metrics.evaluate import evaluate

    sets = _on_device(sets, options.device)
    alone, paired, banked, _ = _wanted(options.protocol, sets)
    if not judged:
        alone = [item for item in alone if item not in {_COSTLY, _WANTS_ROWS}]
    # The gap of the pretext task takes more train images than val has where their views were read.
    wide = "bank" in sets and sets["bank"].views is not None
    apart: list[Wanted] = [item for item in paired if item == _WANTS_BANK] if wide else []
    plan: list[tuple[EmbeddingSet, list[Wanted], EmbeddingSet | None]] = [
        (sets["val"], [*alone, *(item for item in paired if item not in apart)], sets.get("train"))
    ]
    if apart:
        plan.append((sets["val"], apart, sets["bank"]))
    if "train" in sets:
        # Islands want rows: of train they are looked for in the bank, which is the larger set.
        skipped = {_COSTLY, *((_WANTS_ROWS,) if "bank" in sets else ())}
        plan.append((sets["train"], [item for item in alone if item not in skipped], None))
    if "bank" in sets and _WANTS_ROWS in alone and "train" in sets:
        plan.append((sets["bank"], [_WANTS_ROWS], None))
    if "bank" in sets:
        plan.append((sets["queries"], banked, sets["bank"]))
    found = [
        (
            evaluate(
                rows,
                wanted,
                bank=bank,
                groups=options.groups,
                seed=options.seed,
                distributed=options.distributed,
                quick=options.quick,
            ),
            rows,
        )
        for rows, wanted, bank in plan
    ]
    table = MetricTable.concat(evaluation for evaluation, _ in found)
    by_class = _frames_joined([class_frame(*pair) for pair in found])
    by_row = _frames_joined([row_frame(*pair) for pair in found]) if options.per_row else None
    return table, by_class, by_row


def _frames_joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames below one another; pandas 2 warns of those without rows, which say nothing of types."""
    import pandas as pd

    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _on_device(sets: dict[str, EmbeddingSet], device: str) -> dict[str, EmbeddingSet]:
    """Return the sets where the encoder ran, so that metrics run there too; as they are if it has no room for them."""
    import torch

    try:
        return {role: found.to(device) for role, found in sets.items()}
    except torch.OutOfMemoryError:
        return sets


def left_out_note(sets: dict[str, EmbeddingSet], options: AnalysisOptions) -> tuple[str, ...]:
    """Return one line on the metrics that cannot be had of images without labels or without a part to train on."""
    *_, left = _wanted(options.protocol, sets)
    if not left:
        return ()
    lacks = [what for what, there in (("labels", sets["val"].labels is not None), ("a train set", "train" in sets))
             if not there]  # fmt: skip
    return (f"{len(left)} metrics need {' or '.join(lacks)} and are left out: {', '.join(sorted(left))}",)


def _wanted(
    protocol: str | None, sets: dict[str, EmbeddingSet]
) -> tuple[list[Wanted], list[Wanted], list[Wanted], list[str]]:
    """Return what is evaluated of one set alone, of equal galleries of train and val, and against the kNN bank; and
    what is left out, because there are no labels or no train set.

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
    left: list[str] = []
    val = sets["val"]
    for item in wanted:
        metric = get(item if isinstance(item, str) else item[0])
        if val.projections is None and "features" not in metric.spaces:
            continue
        equal = "other_views" in metric.takes or metric.interval == "two_sets"  # wants galleries of equal size
        lacks_labels = val.labels is None and {"labels", "other_labels"} & set(metric.needs)
        if lacks_labels or (metric.second == "bank" and ("train" if equal else "bank") not in sets):
            left.append(metric.name)
        elif metric.second is None:
            alone.append(item)
        elif metric.second == "bank":
            (paired if equal else banked).append(item)
    return alone, paired, banked, left
