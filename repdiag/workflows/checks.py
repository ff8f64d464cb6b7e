"""What an analysis checks beside its three questions: how the images were prepared, and which rows want a look."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from repdiag.core.errors import RepdiagError

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.diagnosis.coded import CodedFinding
    from repdiag.diagnosis.row_checks.records import RowChecks
    from repdiag.workflows.options import AnalysisOptions
    from repdiag.workflows.rows import AnalyzedImages

_LOG = logging.getLogger(__name__)
_WITH_LABELS = ("supervised",)


def trained_with_labels(encoder: Encoder) -> bool:
    """Say whether an encoder is known to have learned classes: by its method, or by the classifier in its file."""
    return encoder.info.training.get("method") in _WITH_LABELS or encoder.classifier is not None


def check_preprocessing(encoder: Encoder, rows: AnalyzedImages, options: AnalysisOptions) -> tuple[CodedFinding, ...]:
    """Return the finding that the images do not look like those of training; none where they do or none can tell.

    A sample of val is run up to the first batch norm on the CPU or the device of the analysis.
    """
    from repdiag.config.views import EvaluationSettings
    from repdiag.diagnosis.checks import preprocessing_finding
    from repdiag.embeddings.extract import evaluation_views
    from repdiag.embeddings.first_batch_norm import input_statistics, sample_images

    if len(encoder.info.mean) != 3 or rows.val.channels != 3:
        return ()  # the common normalisations are those of colour images
    settings = EvaluationSettings(preset=options.views or rows.val.preset, seed=options.seed, views=0)
    images = sample_images(rows.val, evaluation_views(encoder, settings))
    try:
        return preprocessing_finding(input_statistics(encoder, images), seed=options.seed)
    except RepdiagError as error:  # fewer images than the check needs
        _LOG.info("the preprocessing was not checked: %s", error)
        return ()


def check_sets(sets: dict[str, EmbeddingSet], *, search: bool, seed: int) -> tuple[RowChecks, tuple[CodedFinding, ...]]:
    """Return the rows of val to look at, held against those of train, and the findings that count them.

    `search` adds what matters to who searches with the vectors: hubs, norms, concentration.
    """
    from repdiag.diagnosis.checks import row_findings
    from repdiag.diagnosis.row_checks import check_rows

    judged = sets.get("queries", sets["val"])
    found = check_rows(judged, train=sets.get("bank", sets.get("train")), search=search, seed=seed)
    return found, row_findings(found)


def cluster_sample_note(table: MetricTable) -> tuple[str, ...]:
    """Return one line where the clusters of a very large set were looked for among a share of its rows."""
    counted = [row.n for row in table if row.metric == "ami" and row.value is not None]
    labelled = [row.n for row in table if row.metric in ("precision_at_1", "r_precision") and row.value is not None]
    if not counted or not labelled or max(counted) >= max(labelled):
        return ()
    seen, rows = max(counted), max(labelled)
    return (f"clusters were searched among {seen:,} of {rows:,} rows, the same share of every class",)
