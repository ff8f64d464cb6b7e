"""`probe`: an encoder tried out by a published protocol -> rows of a table that say how they were found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import UsageError
from repdiag.core.metric_table import untrained_name
from repdiag.workflows.probed import Probed

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.data.image_split import ImageSplit
    from repdiag.downstream.on_images import Place
    from repdiag.downstream.outcome import Outcome
    from repdiag.downstream.protocol import Protocol


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """Which images a probe looks at, and how they are read."""

    data: str | None = None
    limit: int | None = None
    download: bool = False
    strict_data: bool = False
    check_content: bool = False
    read_options: Any = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    fits: Path | None = None
    """Folder of training runs, so that killed ones go on; None trains in a temporary one."""
    again: bool = False
    progress: Any = None


def probe(
    source: Any,
    *,
    data: str | None = None,
    protocol: str = "linear",
    settings: Mapping[str, Any] | None = None,
    bank: Any = None,
    name: str | None = None,
    seed: int = 0,
    limit: int | None = None,
    **options: Any,
) -> Probed:
    """Evaluate an encoder, or one set of vectors, with a downstream protocol.

    `source` is a checkpoint file, the folder of a training run, a name in the manifest, or an `Encoder`, evaluated on
    the images of `data`. Or it is labelled vectors of the test images (an `EmbeddingSet`, or anything
    `repdiag.as_embedding_set` accepts), with those of the train images as `bank`. `protocol` is a name from `repdiag
    probe --list`; `settings` changes its settings. `limit` takes this many images of each split, evenly over the
    classes. `options` are device, batch_size, workers, fast, cache, download, strict_data, check_content and
    read_options.

    Under torchrun every process makes this call, which takes a protocol that trains on images, and `fits`, a folder
    that all of them see; the training is shared among them.

    Values are shares in 0 .. 1. Every row records protocol, version, features, scaling, crop, selection, seeds,
    interval.

    Raises `UsageError` for an unknown protocol or setting, `DataError` for data without labels.

    Example:
        >>> import numpy as np, repdiag
        >>> rng, labels = np.random.default_rng(0), np.arange(60) % 3
        >>> def draw():
        ...     rows = np.eye(3)[labels] + 0.05 * rng.normal(size=(60, 3))
        ...     return repdiag.EmbeddingSet(features=rows, labels=labels)
        >>> found = repdiag.probe(draw(), bank=draw())
        >>> found.value, found.row.extra["row_scaling"]
        (1.0, 'standardised')
    """
    from repdiag.workflows.speaking import speaker

    chosen = chosen_protocol(protocol, {"seed": seed, **dict(settings or {})})
    if bank is not None:
        if data is not None:
            raise UsageError("vectors need no data", found=f"data={data!r}", hint="leave it out, or leave out bank=")
        return probe_vector_sets(source, bank, chosen, name=name)
    given = {key: options.pop(key) for key in _READING if key in options}
    machine = {"counting": speaker(progress=bool(options.pop("progress", False))).counting, **options}
    return probe_checkpoint(source, chosen, ProbeOptions(data=data, limit=limit, machine=machine, **given), name=name)


_READING = ("download", "strict_data", "check_content", "read_options", "fits", "again")


def chosen_protocol(name: str, values: Mapping[str, Any], overrides: Sequence[str] = ()) -> Protocol:
    """Return a protocol with some settings changed, by value and then by "name=value"."""
    from repdiag.downstream.presets import get_protocol

    return get_protocol(name).changed(values).with_overrides(overrides)


def probe_vector_sets(test: Any, train: Any, protocol: Protocol, *, name: str | None = None) -> Probed:
    """Try vectors out: `train` is fitted or searched, `test` is asked."""
    from repdiag.downstream.on_features import probe_vectors
    from repdiag.embeddings.as_embedding_set import as_embedding_set

    asked, known = as_embedding_set(test), as_embedding_set(train)
    if name is not None:
        asked = replace(asked, provenance=replace(asked.provenance, checkpoint=name))
    outcome, rows = probe_vectors(known, asked, protocol.settings)
    return _probed(outcome, rows, protocol, known.features.shape[0])


def probe_checkpoint(
    source: Any, protocol: Protocol, options: ProbeOptions, *, name: str | None = None, untrained: bool = False
) -> Probed:
    """Load one checkpoint, and try it, or its untrained copy, out on the train and val images of the data."""
    from repdiag.checkpoints.read_options import ReadOptions
    from repdiag.checkpoints.untrained import untrained_copy
    from repdiag.workflows.analyze import load_source
    from repdiag.workflows.options import AnalysisOptions

    reading = options.read_options or ReadOptions()
    loading = AnalysisOptions(read_options=reading, download=options.download)
    encoder, _ = load_source(source, loading, name=name)
    if name is not None:
        encoder.info = replace(encoder.info, name=name)
    if untrained:
        encoder = untrained_copy(encoder, seed=protocol.settings.seed)
        encoder.info = replace(encoder.info, name=untrained_name(encoder.info.name))
        found = _probe_loaded(encoder, protocol, options)
        return replace(found, table=found.table.with_role("untrained"))
    return _probe_loaded(encoder, protocol, options)


def _probe_loaded(encoder: Encoder, protocol: Protocol, options: ProbeOptions) -> Probed:
    from repdiag.downstream.detection import DetectionSettings
    from repdiag.workflows.analyze import images_of

    _check_shared(protocol)
    if isinstance(protocol.settings, DetectionSettings):
        return probe_on_scenes(encoder, protocol, options)
    return probe_encoder(encoder, images_of(encoder, options.data), protocol, options=options)


def _check_shared(protocol: Protocol) -> None:
    """Refuse several processes for a protocol whose work cannot be shared among them."""
    from repdiag.core.distributed.first_process import process_count
    from repdiag.downstream.trained import TrainedSettings

    if process_count() > 1 and not isinstance(protocol.settings, TrainedSettings):
        raise UsageError(
            f"{protocol.name} cannot share its work among processes",
            found=f"{process_count()} processes, as started by torchrun",
            hint="start it without torchrun; protocols that train on images can share it",
        )


def probe_checkpoints(
    words: Sequence[str],
    protocols: Sequence[Protocol],
    options: ProbeOptions,
    *,
    untrained: bool,
    before: Callable[[list[str]], object],
) -> tuple[list[str], list[Probed]]:
    """Try several checkpoints out by several protocols; return their names and what was found.

    With `untrained` the untrained copy of each is tried out as well. `before` is called with the names when all
    checkpoints are found and none has been read.
    """
    from repdiag.core.distributed.world import join_world
    from repdiag.workflows.targets import find_checkpoint, unique_names

    for protocol in protocols:
        _check_shared(protocol)
    if not words:
        raise UsageError("nothing to evaluate", hint="repdiag probe CHECKPOINT --data DATA; --list shows the protocols")
    targets = [find_checkpoint(word, download=options.download) for word in words]
    names = unique_names(targets)
    before(names)
    with join_world(on_gpu=str(options.machine.get("device", "cpu")).startswith("cuda")):  # one group for all runs
        found = [
            probe_checkpoint(replace(target, name=name), protocol, options, name=name, untrained=copied)
            for protocol in protocols
            for target, name in zip(targets, names, strict=True)
            for copied in ((False, True) if untrained else (False,))
        ]
    return names, found


def probe_encoder(encoder: Encoder, spec: str, protocol: Protocol, *, options: ProbeOptions) -> Probed:
    """Try a loaded encoder out on the images that are named."""
    from repdiag.downstream.labelled_features import Machine
    from repdiag.downstream.on_features import probe_features
    from repdiag.downstream.on_images import probe_images
    from repdiag.downstream.protocol import FeatureSettings
    from repdiag.downstream.trained import TrainedSettings
    from repdiag.workflows.rows import AnalyzedImages

    train, test = (_opened(spec, split, options) for split in ("train", "val"))
    images: dict[str, Any] = {"train": train, "test": test, "machine": Machine(**options.machine)}
    if isinstance(protocol.settings, FeatureSettings):
        outcome, rows = probe_features(encoder, protocol.settings, **images)
    else:
        assert isinstance(protocol.settings, TrainedSettings)
        with _place(encoder, spec, protocol, options) as place:
            outcome, rows = probe_images(encoder, protocol.settings, **images, place=place)
    found = _probed(outcome, rows, protocol, len(train))
    read = dict.fromkeys((*map(str, train.notes), *map(str, test.notes)))
    notes = (*(f"images: {note}" for note in read), *found.notes)
    excluded = AnalyzedImages(val=test, train=train).excluded()
    return replace(found, info=encoder.info, notes=notes, excluded=excluded)


def probe_on_scenes(encoder: Encoder, protocol: Protocol, options: ProbeOptions) -> Probed:
    """Try a loaded encoder out by a detector: on images with boxes (COCO, VOC), else on composed scenes."""
    from repdiag.downstream.annotated_scenes import annotated_scenes, is_annotated
    from repdiag.downstream.detection import DetectionSettings, probe_scenes, recompute_batch_norm
    from repdiag.downstream.labelled_features import Machine
    from repdiag.downstream.scenes import composed_scenes

    settings = protocol.settings
    assert isinstance(settings, DetectionSettings)
    counts = {
        name: min(most, options.limit or most)
        for name, most in (("train", settings.train_images), ("test", settings.test_images))
    }
    said: tuple[str, ...]
    if options.data is not None and is_annotated(options.data):
        masks = settings.find == "masks"
        train, test, said = annotated_scenes(options.data, **counts, masks=masks, seed=settings.seed)
    elif options.data in (None, "composed"):
        size, stamps = settings.image_size, settings.stamps
        train, test, made = composed_scenes(**counts, size=size, seed=settings.seed, stamps=stamps)
        said = (f"scenes of {made}",)
    else:
        raise UsageError(
            f"{protocol.name} runs on images with boxes, or on composed scenes",
            found=f"--data {options.data}",
            hint="coco:FOLDER, voc:FOLDER, or leave it out",
        )
    if encoder.info.branch == "untrained":
        recompute_batch_norm(encoder, train, settings)
    outcome, rows = probe_scenes(encoder, settings, train=train, test=test, machine=Machine(**options.machine))
    found = _probed(outcome, rows, protocol, len(train))
    return replace(found, info=encoder.info, notes=(*said, *found.notes))


@contextmanager
def _place(encoder: Encoder, spec: str, protocol: Protocol, options: ProbeOptions) -> Iterator[Place]:
    """Give the folder of a training run: one that stays, or one that goes with the call."""
    from repdiag.core.distributed.first_process import process_count
    from repdiag.downstream.on_images import Place

    how: dict[str, Any] = {"spec": spec, "progress": options.progress, "again": options.again}
    name = f"{encoder.info.name.replace('/', '-')}-{protocol.name}"
    if options.fits is not None:
        yield Place(folder=options.fits / name, **how)
        return
    if process_count() > 1:
        raise UsageError("several processes need one folder for the training run", hint="fits=FOLDER, which all see")
    with tempfile.TemporaryDirectory(prefix="repdiag-probe-") as folder:
        yield Place(folder=Path(folder) / name, **how)


def _opened(spec: str, split: str, options: ProbeOptions) -> ImageSplit:
    from repdiag.data.datasets import open_dataset

    found = open_dataset(
        spec,
        split,
        download=options.download,
        strict=options.strict_data,
        check_content=options.check_content,
    )
    return found if options.limit is None else found.limited(options.limit)


def _probed(outcome: Outcome, rows: EmbeddingSet, protocol: Protocol, train_images: int) -> Probed:
    import torch

    labels = rows.labels
    classes = None if labels is None else len(torch.unique(torch.as_tensor(labels)))
    return Probed(
        protocol=protocol,
        table=outcome.to_table(protocol, rows.provenance, classes=classes),
        rows=rows,
        per_image=outcome.per_image,
        replicates=outcome.replicates,
        notes=outcome.notes,
        train_images=train_images,
    )
