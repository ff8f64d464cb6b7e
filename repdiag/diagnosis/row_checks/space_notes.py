"""Properties of a whole space that change what a search in it finds."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from repdiag.core.shapes import Float
from repdiag.diagnosis.row_checks.neighbourhoods import NEAREST, Neighbourhoods
from repdiag.diagnosis.row_checks.records import RowLimits, SpaceNote
from repdiag.metrics.algebra.moments import float64_unit_rows

_FEWEST_DIMENSIONS, _PAIRS, _STEP = 8, 20_000, 1024
_QUERIES = 10_000  # rows that are searched by inner product: a share of as many is known to half a point


def dominating_dimension(features: Float[Tensor, "N D"], limits: RowLimits) -> SpaceNote | None:
    """Return the dimension that holds most of the squared length of the unit rows; None below eight dimensions."""
    if features.shape[1] < _FEWEST_DIMENSIONS:
        return None
    unit = float64_unit_rows(features)
    shares = unit.square().mean(dim=0)
    place = int(shares.argmax())
    share = float(shares[place])
    look = share > limits.dimension_share
    sentence = f"Dimension {place} holds {share:.0%} of the squared length of the rows"
    if look:
        sentence += (
            f" (a row's cosine with it is {float(unit[:, place].mean()):+.2f} on average): it dominates all cosines"
        )
    return SpaceNote(
        what="dominating dimension",
        sentence=f"{sentence}.",
        value=share,
        limit=limits.dimension_share,
        look=look,
        advice="Centre the features, or divide each dimension by its standard deviation, before comparing rows.",
    )


def search_notes(
    features: Float[Tensor, "N D"], found: Neighbourhoods, often: Tensor, *, limits: RowLimits, seed: int
) -> Iterator[SpaceNote]:
    """Yield what matters to who searches: antihubs, norms, cosine against inner product, concentration."""
    yield _antihubs(often, limits)
    norms = features.double().norm(dim=1)
    spread = float(norms.std(correction=0) / norms.mean())
    yield SpaceNote(
        what="spread of norms",
        sentence=f"Norms vary by {spread:.0%} of their mean.",
        value=spread,
        limit=limits.norm_spread,
        look=spread > limits.norm_spread,
        advice="Normalise the rows, unless their length is meant to count.",
    )
    queries = _queries(len(features), seed=seed)
    by_product = _nearest_by_product(features, queries)
    other = float((by_product != found.index[queries, NEAREST]).double().mean())
    rows = "the rows" if len(queries) == len(features) else f"{len(queries):,} rows drawn by lot"
    yield SpaceNote(
        what="cosine and inner product",
        sentence=f"By inner product {other:.0%} of {rows} have a different nearest row than by cosine.",
        value=other,
        limit=None,
        look=False,  # true of every encoder that does not normalise: to be known, no fault
        advice="Normalise the rows before you put them into an inner-product index.",
    )
    yield _concentration(features, found, limits, seed=seed)


def _antihubs(often: Tensor, limits: RowLimits) -> SpaceNote:
    share = float((often == 0).double().mean())
    return SpaceNote(
        what="antihubs",
        sentence=f"{share:.0%} of the rows are not among the ten nearest of any other row.",
        value=share,
        limit=limits.antihubs,
        look=share > limits.antihubs,
        advice="Centre the features. Fewer dimensions (PCA) also reduce hubs.",
    )


def _queries(rows: int, *, seed: int) -> Tensor:
    if rows <= _QUERIES:
        return torch.arange(rows)
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[:_QUERIES]


def _nearest_by_product(features: Tensor, queries: Tensor) -> Tensor:
    rows = features.float()
    found = []
    for start in range(0, len(queries), _STEP):
        some = queries[start : start + _STEP]
        products = rows[some] @ rows.T
        products[torch.arange(len(some)), some] = -torch.inf
        found.append(products.argmax(dim=1))
    return torch.cat(found)


def _concentration(features: Tensor, found: Neighbourhoods, limits: RowLimits, *, seed: int) -> SpaceNote:
    draw = torch.Generator().manual_seed(seed)
    first, second = torch.randint(len(features), (2, _PAIRS), generator=draw)
    apart = first != second
    ends = (float64_unit_rows(features[rows[apart]]) for rows in (first, second))
    one, two = ends
    usual = float((one - two).norm(dim=1).median())
    ratio = float(found.distance[:, NEAREST].median()) / usual if usual > 0.0 else 1.0
    return SpaceNote(
        what="concentration of distances",
        sentence=f"The nearest row lies at {ratio:.0%} of the median distance between rows.",
        value=ratio,
        limit=limits.concentration,
        look=ratio > limits.concentration,
        advice="If all rows are equally far, the nearest one is chance. Reduce the dimensions, or train for longer.",
    )
