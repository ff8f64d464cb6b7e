"""`drift`: is it still the same encoder? Two encoders, or two sets of vectors, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import DataError, UsageError
from repdiag.workflows.drift_result import Drift
from repdiag.workflows.options import AnalysisOptions

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.data.image_split import ImageSplit

PER_CLASS = 100
"""Images of a class by default: neighbours need more rows than verdicts on one encoder do."""


def drift(
    old: Any,
    new: Any,
    *,
    data: str | None = None,
    labels: Any = None,
    threshold: float | None = None,
    thresholds: Mapping[str, float] | None = None,
    intervals: bool = True,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> Drift:
    """Tell whether a new encoder still gives the space of the old one: after export, quantisation or further training.

    `old` and `new` are sources of `repdiag.analyze`: encoders on the images of `data`, or vectors of the same rows with
    their `labels`. Vectors are joined by row names if both have them. One source may be vectors (a canary saved
    earlier) and the other an encoder: the encoder then runs on the images that the vectors name. `threshold` is your
    cosine threshold for two rows to match; `thresholds` changes those of the verdict by name. Without `intervals` drift
    takes a tenth of the time, and no verdict is certain. `options` are the fields of `AnalysisOptions` (per_class,
    limit, device, ...).

    Raises `RepdiagError` if the rows differ, or if there is nothing to compare.

    Example:
        >>> import numpy as np
        >>> import repdiag
        >>> rng, labels = np.random.default_rng(0), np.arange(120) % 4
        >>> old = np.eye(4)[labels] + 0.3 * rng.normal(size=(120, 4))
        >>> found = repdiag.drift(old, old + 0.1 * rng.normal(size=(120, 4)), labels=labels)
        >>> found.verdict, bool(found.table.where(metric="neighbors_kept").value(k=1) < 0.9)
        ('same classes, other neighbours', True)
    """
    from repdiag.workflows.drift_layers import with_layers
    from repdiag.workflows.loaded_pair import loaded
    from repdiag.workflows.speaking import speaker

    chosen = AnalysisOptions(data=data, seed=seed, **{"per_class": PER_CLASS, **options})
    sources = loaded({"old": old, "new": new}, chosen)
    sets, notes = read_pair(sources, chosen, labels=labels, counting=speaker(progress=progress).counting)
    how: dict[str, Any] = {"threshold": threshold, "thresholds": thresholds, "intervals": intervals}
    found = drift_of_sets(sets, seed=seed, notes=notes, **how)
    return with_layers(found, sources, chosen)


def drift_of_sets(
    sets: Mapping[str, EmbeddingSet],
    *,
    threshold: float | None = None,
    thresholds: Mapping[str, float] | None = None,
    intervals: bool = True,
    seed: int = 0,
    notes: tuple[str, ...] = (),
    options: Mapping[str, Any] | None = None,
) -> Drift:
    """Return the drift between two sets of the same rows in one order, the old one first, by their names."""
    from repdiag.diagnosis.drift.measure import measure_drift
    from repdiag.diagnosis.drift.thresholds import DriftThresholds
    from repdiag.diagnosis.drift.verdict import judge_drift

    (old, first), (new, second) = sets.items()
    limits = DriftThresholds().with_changes(thresholds)
    numbers = measure_drift(first, second, threshold=threshold, intervals=intervals, seed=seed)
    said = dict(options or {}) | {"old": old, "new": new, "seed": seed, "threshold": threshold}
    return Drift(old=old, new=new, finding=judge_drift(numbers, limits), numbers=numbers, notes=notes, options=said)


def read_pair(
    sources: Mapping[str, Any], options: AnalysisOptions, *, labels: Any = None, counting: Any = None
) -> tuple[dict[str, EmbeddingSet], tuple[str, ...]]:
    """Return the sets of all sources on the same rows, and what was assumed, joined or left out.

    The names are those given, where a source does not bring one.
    """
    from repdiag.embeddings.vector_inputs import read_together
    from repdiag.workflows.loaded_pair import load_pair
    from repdiag.workflows.vectors import is_vectors, name_of_source

    vectors = {name: source for name, source in sources.items() if is_vectors(source)}
    if len(vectors) == len(sources):
        if options.data is not None:
            raise UsageError("vectors need no data", found=options.data, hint="labels of vectors go with --labels")
        named = {name_of_source(source, name): source for name, source in sources.items()}
        return read_together(named if len(named) == len(sources) else sources, labels=labels)
    if labels is not None:
        raise UsageError("labels go with vectors", hint="images take their classes from the data")
    encoders = load_pair({name: source for name, source in sources.items() if name not in vectors}, options)
    known = _vector_sets(vectors)
    images, notes = _images(options, encoders, known)
    sets: dict[str, EmbeddingSet] = {}
    for name in sources:
        found = known[name] if name in known else _run(encoders[name], images, options, counting)
        called = encoders[name].info.name if name in encoders else name_of_source(vectors[name], name)
        sets[called if called not in sets else f"{called} ({name})"] = found
    from repdiag.embeddings.same_rows import on_same_rows

    names = list(sets)
    first = sets[names[0]]
    for name in names[1:]:
        sets[name] = on_same_rows(first, sets[name], names=(names[0], name))
    if first.labels is None and sets[names[-1]].labels is not None:
        last = sets[names[-1]]
        sets[names[0]] = replace(first, labels=last.labels, class_names=last.class_names)
    said = (note for one in sets.values() for note in one.provenance.reading.notes)
    return sets, tuple(dict.fromkeys((*notes, *said, *_read_as(encoders))))


def _read_as(encoders: Mapping[str, Encoder]) -> list[str]:
    """Return what was assumed to feed the encoders, and what runs those that are graphs."""
    from repdiag.checkpoints.exported.exported_encoder import FAMILIES
    from repdiag.checkpoints.facts import ASSUMPTIONS

    return [
        f"{encoder.info.name}: {note}"
        for encoder in encoders.values()
        for note in encoder.info.notes
        if encoder.info.family in FAMILIES or note.startswith(ASSUMPTIONS)
    ]


def _vector_sets(vectors: Mapping[str, Any]) -> dict[str, EmbeddingSet]:
    from repdiag.embeddings.as_embedding_set import as_embedding_set

    return {name: as_embedding_set(source) for name, source in vectors.items()}


def _images(
    options: AnalysisOptions, encoders: Mapping[str, Encoder], known: Mapping[str, EmbeddingSet]
) -> tuple[ImageSplit, tuple[str, ...]]:
    """Return the images to run the encoders on: a draw by seed, or those whose names the vectors have."""
    import numpy as np

    from repdiag.data.datasets import open_dataset
    from repdiag.workflows.rows import AnalyzedImages, choose_rows

    trained = (encoder.info.training.get("data") for encoder in encoders.values())
    spec = options.data or next((str(one) for one in trained if one is not None), None)
    if spec is None:
        raise UsageError(
            "no images to compare the encoders on", hint="choose images with --data, such as imagefolder:PATH"
        )
    if not known:
        chosen = choose_rows(spec, options)
        return chosen.val, AnalyzedImages(val=chosen.val, said=chosen.said).notes()
    strict, again = options.strict_data, options.check_content
    split = open_dataset(spec, "val", download=options.download, strict=strict, check_content=again)
    wanted: Any = next(iter(known.values())).row_ids
    places = {str(row): place for place, row in enumerate(split.row_ids.tolist())}
    missing = [str(row) for row in wanted if str(row) not in places]
    if missing:
        raise DataError(
            "the vectors have rows without an image",
            found=f"{len(missing)} of {len(wanted)}: {', '.join(missing[:5])}",
            hint="choose with --data the images the vectors were made from",
        )
    rows = np.asarray([places[str(row)] for row in wanted])
    subset = split.subset(rows)
    return subset, AnalyzedImages(val=subset).notes()


def _run(encoder: Encoder, images: ImageSplit, options: AnalysisOptions, counting: Any) -> EmbeddingSet:
    from repdiag.config.views import EvaluationSettings
    from repdiag.core.progress import listening
    from repdiag.workflows.measure import extract_split

    settings = EvaluationSettings(preset=images.preset, seed=options.seed, views=0)
    with listening(counting):
        return extract_split(encoder, images, settings=settings, options=options, role="val")
