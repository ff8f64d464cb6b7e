"""Does the classifier that a checkpoint brings still recognise the user's images? Where it does not, something is off.

Wrong normalisation, a wrong stem, a wrong branch: all load without a word, and all show here, where the file has a
classifier for as many classes as the data has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.core.embedding_set import EmbeddingSet

_FEWEST = 30  # images
_ALPHA = 0.01
_REASONS = (
    "the images are not prepared as in training (see the table of `inspect`: --mean, --std, --image-size, --stem), "
    "they are of other classes, or the wrong network was read (--branch)"
)


def classifier_note(encoder: Encoder, val: EmbeddingSet) -> tuple[str, ...]:
    """Return one line on the accuracy of the file's own classifier on labelled val images; none where it cannot be had.

    Chance is what predictions would agree with labels if they were independent of them; one-sided binomial test at 1 %.
    Classes are counted in the order of their names, as folders of images are; another order is looked for as well.
    """
    import torch
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import binomtest

    head, labels = encoder.classifier, val.labels
    if head is None or labels is None or not bool((labels >= 0).any()):
        return ()
    known = labels.cpu() >= 0
    labels = labels.cpu().long()[known]
    weight = next(head.parameters())
    classes = len(val.class_names) if val.class_names else int(labels.max()) + 1
    if weight.shape[0] != classes or classes < 2 or len(labels) < _FEWEST:
        return ()
    with torch.no_grad():
        features = val.features[known.to(val.features.device)].to(device=weight.device, dtype=weight.dtype)
        said = head(features).argmax(1).cpu()
    counts = torch.zeros(classes, classes, dtype=torch.long)
    counts.index_put_((labels, said), torch.ones_like(said), accumulate=True)
    right, total = int(counts.diagonal().sum()), len(labels)
    chance = float((counts.sum(0).double() * counts.sum(1).double()).sum()) / total**2
    share = f"the classifier in the file is right on {right / total:.1%} of {total} val images"
    if binomtest(right, total, min(max(chance, 1e-9), 1.0), alternative="greater").pvalue < _ALPHA:
        return (f"{share} (chance is {chance:.1%})",)
    rows, columns = linear_sum_assignment(-counts.numpy())
    matched = int(counts[torch.from_numpy(rows), torch.from_numpy(columns)].sum()) / total
    if matched > 0.5 and matched > 2 * chance:
        return (f"{share}, but on {matched:.1%} with the classes in another order: it was trained with that order",)
    return (f"{share}, which is chance ({chance:.1%}): {_REASONS}",)
