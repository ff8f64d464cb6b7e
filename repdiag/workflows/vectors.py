"""Analysis of vectors that come without an encoder: text, audio, tabular or image embeddings from any model."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.workflows.analysis import Analysis

if TYPE_CHECKING:
    from torch import Tensor

    from repdiag.metrics.evaluate import Evaluation

VECTOR_KIND = "analyze-vectors"
# Endings that no checkpoint has; .pt and .safetensors may be either, and are checkpoints unless told otherwise.
_VECTOR_FILES = (".npz", ".npy", ".parquet")


def is_vectors(source: Any) -> bool:
    """Say whether a source holds vectors rather than an encoder: a file by its ending, anything else by its kind."""
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.embeddings.store import is_stored
    from repdiag.workflows.targets import Target

    if isinstance(source, Encoder | Target):
        return False
    if not isinstance(source, str | Path):
        return True
    path = Path(source)
    return path.suffix.lower() in _VECTOR_FILES or is_stored(path)


def analyze_vectors(
    source: Any,
    labels: Any = None,
    *,
    groups: Any = None,
    reference: Any = None,
    metrics: Any = None,
    protocol: str | None = None,
    per_row: bool = False,
    name: str | None = None,
    seed: int = 0,
    counting: Any = None,
) -> Analysis:
    """Evaluate and judge vectors; what needs views or a train set is null with the reason.

    `source`, `labels` and `reference` (other vectors of the same rows) are arrays, frames, files or sets. `groups`
    says which rows were drawn together, one value a row or a file of them, or is the word "classes".
    """
    from repdiag.core.distributed.world import join_world
    from repdiag.diagnosis.comparisons import check_same_rows, hold_against
    from repdiag.diagnosis.diagnose import judge
    from repdiag.embeddings.as_embedding_set import as_embedding_set
    from repdiag.metrics.breakdown import class_frame, row_frame
    from repdiag.metrics.evaluate import evaluate
    from repdiag.metrics.near_copies import near_copy_note
    from repdiag.metrics.registry import check_rows
    from repdiag.workflows.analyze import reference_name

    called = name or _name_of(source, "vectors")
    embeddings = _named(as_embedding_set(source, labels=labels), called, source)
    given = {field: getattr(embeddings, field) for field in ("features", "labels", "views")}
    check_rows(given)  # nothing could be said of an empty set, or of rows that are not finite
    others = {}
    if reference is not None:
        others[reference_name(_name_of(reference, "vectors"))] = as_embedding_set(reference)
    for other_name, other in others.items():
        check_same_rows(embeddings, other, other_name)  # a mistake is said before anything is evaluated
    together = _read_groups(groups, embeddings)
    with join_world(on_gpu=False) as world, counting("tiles of pairs") if counting else nullcontext() as tiles:
        found: Evaluation = evaluate(
            embeddings,
            metrics,
            protocol=protocol,
            groups=together,
            seed=seed,
            distributed=world.size > 1,
            pass_progress=tiles,
        )
    note = near_copy_note(embeddings, grouped=groups is not None)
    told = {"source": _said(source), "seed": seed, "protocol": protocol, "groups": _said(groups)}
    return Analysis(
        kind=VECTOR_KIND,
        name=called,
        table=found,
        diagnosis=hold_against(judge(found), embeddings, others, groups=together, seed=seed),
        embeddings={"val": embeddings},
        per_class=class_frame(found, embeddings),
        per_row=row_frame(found, embeddings) if per_row else None,
        reference=None if reference is None else {"source": _said(reference)},
        notes=() if note is None else (note,),
        options=told,
    )


def _name_of(source: Any, otherwise: str) -> str:
    from repdiag.core.provenance import UNKNOWN
    from repdiag.embeddings.shards import name_of

    if isinstance(source, str | Path):
        return name_of(Path(source))
    if isinstance(source, EmbeddingSet) and source.provenance.checkpoint != UNKNOWN:
        return source.provenance.checkpoint
    return otherwise


def _named(embeddings: EmbeddingSet, name: str, source: Any) -> EmbeddingSet:
    from repdiag.core.provenance import UNKNOWN

    known = embeddings.provenance
    dataset = Path(source).name if isinstance(source, str | Path) else known.dataset
    split = "val" if known.split == UNKNOWN else known.split  # rows that the encoder is not known to be trained on
    return replace(embeddings, provenance=replace(known, checkpoint=name, dataset=dataset, split=split))


def _said(value: Any) -> str | None:
    """Return what run.json can say of an argument: a path or a word as it is, of anything else its kind."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, Path) else type(value).__name__


def _read_groups(groups: Any, embeddings: EmbeddingSet) -> Tensor | None:
    from repdiag.embeddings.vector_files import read_labels
    from repdiag.metrics.inference.units import CLASSES, as_groups

    named = isinstance(groups, str | Path) and groups != CLASSES
    given = read_labels(Path(groups)) if named else groups
    return as_groups(given, embeddings.labels, rows=len(embeddings))
