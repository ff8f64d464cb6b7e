"""Pieces of one class: it is cut in two where rows that no cut was fitted to have two modes, and the halves again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.dip import Numbers, dip, one_mode_p_value
from repdiag.metrics.clusters.two_means import Flags, Lots, drawn_lots, second_clusters
from repdiag.metrics.effort import current_effort

FOLDS = 10
DIMENSIONS = 64  # leading principal directions of the class; the rest costs time and hides no islands
FEWEST = 24  # rows of a piece that is looked at again
MOST = 16  # pieces
SMALLEST = 8  # rows of a piece: fewer are outliers
_ONE_PIECE = 0.5  # p-value above which two pieces are parts of one
_BINS = 256
_WIDTHS = 2.0 ** np.arange(7.0, -0.5, -0.25)  # bins; from one mode to as many as there are rows


@dataclass(frozen=True, kw_only=True)
class Bisection:
    """Pieces of the rows [N], numbered from 0 along the first cut, and what the first test said.

    `scores` [N] place every row along the first direction, each found without that row.
    """

    piece: NDArray[np.int64]
    p_value: float
    scores: Numbers

    @property
    def pieces(self) -> int:
        """Return how many pieces there are."""
        return int(self.piece.max()) + 1


def bisect(rows: Numbers, *, alpha: float, generator: np.random.Generator) -> Bisection:
    """Cut the rows [N, D], and the pieces again, as long as the test of one mode rejects at `alpha`."""
    whole = np.arange(len(rows))
    p_value, scores = one_mode(rows, generator=generator)
    todo, done = [(whole, p_value, scores)], list[NDArray[np.int64]]()
    while todo:
        members, p, along = todo.pop()
        low = along <= valley(along) if p <= alpha and len(todo) + len(done) + 2 <= MOST else along >= along.min()
        if min(low.sum(), (~low).sum()) < SMALLEST:
            done.append(members)
            continue
        for part in (members[low], members[~low]):
            if len(part) < FEWEST:
                done.append(part)
            else:
                todo.append((part, *one_mode(rows[part], generator=generator)))
    if len(done) > 2:
        done = _joined(rows, done, generator=generator)
    piece = np.empty(len(rows), dtype=np.int64)
    for number, members in enumerate(sorted(done, key=lambda part: float(scores[part].mean()))):
        piece[members] = number
    return Bisection(piece=piece, p_value=p_value, scores=scores)


def _joined(
    rows: Numbers, pieces: list[NDArray[np.int64]], *, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Put parts of one piece together again that a cut between two others went through; two pieces are left at least.

    Of three islands in a triangle the direction from one to another runs through the third. Both parts of it are one
    piece: what they make together has one mode along its most divided direction (p above a half; islands are far off).
    """
    centres = np.stack([rows[part].mean(axis=0) for part in pieces])
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    second = np.sort(apart, axis=1)[:, 2]  # distance to the second nearest other piece
    pairs = np.argwhere(np.triu(np.ones_like(apart, dtype=bool), 1))
    group = np.arange(len(pieces))
    for one, two in pairs[np.argsort(apart[pairs[:, 0], pairs[:, 1]], kind="stable")]:
        # The parts of a piece lie side by side: each is among the two nearest of the other.
        nearest = apart[one, two] <= min(second[one], second[two])
        together = np.concatenate([pieces[one], pieces[two]])
        if group[one] == group[two] or not nearest or len(together) < FEWEST or len(np.unique(group)) == 2:
            continue
        if one_mode(rows[together], generator=generator)[0] > _ONE_PIECE:
            group[group == group[two]] = group[one]
    return [np.concatenate([pieces[at] for at in np.flatnonzero(group == one)]) for one in np.unique(group)]


def one_mode(rows: Numbers, *, generator: np.random.Generator) -> tuple[float, Numbers]:
    """Return the p-value of the rows having one mode along their most divided direction, and the scores along it [N].

    The dip test on held-out scores, over several deals of the folds: twice the median p-value holds whatever the
    deals have in common (Meinshausen, Meier & Buehlmann 2009). A single deal may be unlucky by a factor of hundred;
    quick work has no other.
    """
    found, deals = [], current_effort().deals
    for _ in range(deals):
        scores = held_out_scores(rows, generator=generator)
        found.append((one_mode_p_value(dip(scores), len(scores)), scores))
    found.sort(key=lambda each: each[0])
    p_value, scores = found[deals // 2]
    return min(1.0, 2.0 * p_value) if deals > 1 else p_value, scores


def held_out_scores(rows: Numbers, *, generator: np.random.Generator) -> Numbers:
    """Return every row's place along the direction that the other folds are divided along [N].

    The directions of the folds point the way of that of all rows, and start from the mean of the rows they were found
    on: so they make one scale.
    """
    lots = [drawn_lots(generator, len(rows))]
    fold = generator.permutation(len(rows)) % FOLDS
    others = fold != np.arange(FOLDS)[:, None]
    lots += [drawn_lots(generator, int(number)) for number in others.sum(axis=1)]
    inside = np.concatenate([np.ones((1, len(rows)), dtype=np.bool_), others])
    along = divisions(rows, inside, lots)
    reference, along = along[0], along[1:]
    along *= np.where(along @ reference >= 0.0, 1.0, -1.0)[:, None]
    start = np.einsum("fd,fd->f", others @ rows / others.sum(axis=1)[:, None], along)
    scores: Numbers = np.einsum("nd,nd->n", rows, along[fold]) - start[fold]
    return scores


def divisions(rows: Numbers, inside: Flags, lots: Sequence[Sequence[Lots]]) -> Numbers:
    """Return for each set of the rows [P, N] the unit direction [P, D] that parts its two clusters best.

    Formula: (S (1 - l) + l tr(S) / D)^-1 (m_1 - m_0), S the covariance within the clusters of 2-means, l = min(1, D /
    N): Fisher's, shrunk to the difference of the means. Zeros where all rows of a set are one cluster.
    """
    second = second_clusters(np.ascontiguousarray(rows, dtype=np.float32), inside, lots)
    count, number, dims = inside.sum(axis=1), second.sum(axis=1), rows.shape[1]
    sums = np.stack([(inside & ~second) @ rows, second @ rows])
    sizes = np.stack([count - number, number]).astype(np.float64)
    means = sums / np.maximum(sizes, 1.0)[..., None]
    whole = rows.T @ rows
    within = np.stack([whole - out.T @ out for out in (rows[~each] for each in inside)])
    within -= np.einsum("cpd,cpe->pde", means * sizes[..., None], means)
    share = np.minimum(1.0, dims / count)
    level = np.trace(within, axis1=1, axis2=2) / count / dims
    covariance = ((1.0 - share) / count)[:, None, None] * within
    spots = np.arange(dims)
    covariance[:, spots, spots] += (share * level + 1e-12 * (level + np.square(means).sum(axis=(0, 2))))[:, None]
    split = (number > 0) & (number < count)
    along = np.zeros((len(inside), dims))
    apart = (means[1] - means[0])[split]
    along[split] = np.linalg.solve(covariance[split], apart[..., None])[..., 0]
    lengths = np.linalg.norm(along, axis=1, keepdims=True)
    unit: Numbers = np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 0.0)
    return unit


def valley(scores: Numbers) -> float:
    """Return where the scores are sparsest between their two main modes.

    The modes are those of the widest kernel that shows two; as that kernel draws them together, the place between them
    is read at half its width.
    """
    counts, edges = np.histogram(scores, bins=_BINS)
    for width in _WIDTHS:
        density = _smoothed(counts, width)
        inner = density[1:-1]
        modes = np.flatnonzero((inner > density[:-2]) & (inner >= density[2:])) + 1
        if len(modes) > 1:
            sharper = _smoothed(counts, width / 2.0)
            one, two = (_uphill(sharper, int(mode)) for mode in modes[np.argsort(-density[modes])[:2]])
            first, last = min(one, two), max(one, two)
            lowest = int(first + np.argmin(sharper[first : last + 1]))
            return float(edges[lowest] + edges[lowest + 1]) / 2.0
    return float(np.median(scores))


def _uphill(density: Numbers, place: int) -> int:
    """Return the top of the hill that a place lies on."""
    while True:
        near = range(max(0, place - 1), min(len(density), place + 2))
        higher = max(near, key=density.__getitem__)
        if density[higher] <= density[place]:
            return place
        place = higher


def _smoothed(counts: NDArray[np.int64], width: float) -> Numbers:
    from scipy.ndimage import gaussian_filter1d

    smoothed: Numbers = gaussian_filter1d(counts.astype(np.float64), width, mode="constant", truncate=5.0)
    return smoothed
