"""Does the classifier that a checkpoint brings still recognise the user's images? Where it does not, something is off.

Wrong normalisation, a wrong stem, a wrong branch: all load without a word, and all show here, where the file has a
classifier for as many classes as the data has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from repdiag.checkpoints.encoder import Encoder
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.diagnosis.coded import CodedFinding
    from repdiag.diagnosis.overfitting import ClassifierTop1

_FEWEST = 30  # images
_ALPHA = 0.01
_REASONS = (
    "the images are not preprocessed as in training (see the table of `inspect`: --mean, --std, --image-size, "
    "--stem), they show other classes, or the wrong network was read (--branch)"
)


@dataclass(frozen=True)
class _Reading:
    """Labels by predictions [C, C] of the file's own classifier on labelled images."""

    counts: Tensor

    @property
    def right(self) -> int:
        return int(self.counts.diagonal().sum())

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    @property
    def chance(self) -> float:
        """Return what predictions would agree with labels if they were independent of them."""
        return float((self.counts.sum(0).double() * self.counts.sum(1).double()).sum()) / self.total**2

    @property
    def beats_chance(self) -> bool:
        """Return whether a one-sided binomial test at 1 % says so."""
        from scipy.stats import binomtest

        chance = min(max(self.chance, 1e-9), 1.0)
        return bool(binomtest(self.right, self.total, chance, alternative="greater").pvalue < _ALPHA)


def classifier_note(encoder: Encoder, val: EmbeddingSet) -> tuple[str, ...]:
    """Return one line on the accuracy of the file's own classifier on labelled val images; none where it cannot be had.

    Classes are counted in the order of their names, as folders of images are; another order is looked for as well.
    """
    found = _read(encoder, val)
    return () if found is None else (_said(found),)


def _said(found: _Reading) -> str:
    from scipy.optimize import linear_sum_assignment

    share = f"the checkpoint's own classifier is right on {found.right / found.total:.1%} of {found.total} val images"
    if found.beats_chance:
        return f"{share} (chance is {found.chance:.1%})"
    rows, columns = linear_sum_assignment(-found.counts.numpy())
    matched = int(found.counts[rows, columns].sum()) / found.total
    if matched > 0.5 and matched > 2 * found.chance:
        return f"{share}, but on {matched:.1%} with the classes in another order: it was trained with that order"
    return f"{share}, which is chance ({found.chance:.1%}): {_REASONS}"


def classifier_findings(encoder: Encoder, val: EmbeddingSet) -> tuple[CodedFinding, ...]:
    """Return the finding that the file's own classifier is right no more often than chance; none where it is."""
    from repdiag.diagnosis.coded import CodedFinding
    from repdiag.diagnosis.codes import CODES

    found = _read(encoder, val)
    if found is None or found.beats_chance:
        return ()
    line = _said(found)
    return (
        CodedFinding(
            code="RD402",
            sentence=f"{line[0].upper()}{line[1:]}.",
            severity="marked",
            value=found.right / found.total,
            threshold=found.chance,
            metric="classifier_accuracy",
            decides=CODES["RD402"].decides,
        ),
    )


def classifier_top1(encoder: Encoder, sets: Mapping[str, EmbeddingSet]) -> ClassifierTop1 | None:
    """Return how often the file's own classifier is right on train and on val; None where it does not know the classes.

    Of val the larger set counts, of train the bank where there is one.
    """
    from repdiag.diagnosis.overfitting import ClassifierTop1

    val, train = sets.get("queries", sets["val"]), sets.get("bank", sets.get("train"))
    mine = _read(encoder, val)
    its = None if train is None else _read(encoder, train)
    if mine is None or its is None or not mine.beats_chance:
        return None
    return ClassifierTop1(train=(its.right, its.total), val=(mine.right, mine.total))


def _read(encoder: Encoder, rows: EmbeddingSet) -> _Reading | None:
    import torch

    head, labels = encoder.classifier, rows.labels
    if head is None or labels is None or not bool((labels >= 0).any()):
        return None
    known = labels.cpu() >= 0
    labels = labels.cpu().long()[known]
    weight = next(head.parameters())
    classes = len(rows.class_names) if rows.class_names else int(labels.max()) + 1
    if weight.shape[0] != classes or classes < 2 or len(labels) < _FEWEST:
        return None
    with torch.no_grad():
        features = rows.features[known.to(rows.features.device)].to(device=weight.device, dtype=weight.dtype)
        said = head(features).argmax(1).cpu()
    counts = torch.zeros(classes, classes, dtype=torch.long)
    counts.index_put_((labels, said), torch.ones_like(said), accumulate=True)
    return _Reading(counts)
