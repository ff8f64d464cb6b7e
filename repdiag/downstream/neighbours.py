"""Protocols that fit nothing: `knn`, `retrieval` and `few-shot`."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.downstream.labelled_features import LabelledFeatures, class_numbers, scaled
from repdiag.downstream.measures import measure_of
from repdiag.downstream.outcome import Outcome, Score, classification_scores
from repdiag.downstream.protocol import AboveZero, FeatureSettings, Positive, Protocol
from repdiag.metrics.inference.means import mean_estimate, share_interval

_PANEL = 1024  # queries at a time, so that their rankings fit into memory


class NeighboursSettings(FeatureSettings):
    """A weighted vote of the nearest train images."""

    neighbours: Positive = 20
    temperature: AboveZero = 0.07


class RetrievalSettings(FeatureSettings):
    """Test images looked up among the other test images: those of the same class are to come first."""


class FewShotSettings(FeatureSettings):
    """Nearest class means of a few test images, over many drawn episodes."""

    episodes: Positive = 600
    ways: Positive = 5
    shots: Positive = 5
    queries: Positive = 15


KNN = Protocol(
    name="knn",
    what="vote of the 20 nearest train images, weighted by exp(cosine / 0.07)",
    source="Caron et al. 2021; dino, eval_knn.py",
    settings=NeighboursSettings(rows="unit"),
)
RETRIEVAL = Protocol(
    name="retrieval",
    what="test images looked up among the rest of test by cosine: mean average precision (trapezoidal), precision at "
    "1, 5 and 10",
    source="revisited Oxford and Paris (Radenovic et al. 2018) as dino's eval_image_retrieval.py scores them",
    settings=RetrievalSettings(rows="unit"),
)
FEW_SHOT = Protocol(
    name="few-shot",
    what="nearest class means by Euclidean distance: 600 episodes of 5 classes, 5 shots and 15 queries from test",
    source="Snell et al. 2017; ssl-transfer, few_shot.py",
    settings=FewShotSettings(),
)


def nearest_neighbours(features: LabelledFeatures, settings: NeighboursSettings) -> Outcome:
    """Return the share of test images whose class wins the vote of their nearest train images."""
    from repdiag.metrics.neighbors.knn_accuracy import knn_accuracy

    train, test = features.train, features.test
    assert isinstance(train.labels, Tensor)
    assert isinstance(test.labels, Tensor)
    rows, queries = scaled(train.features, test.features, settings.rows)
    most = min(settings.neighbours, len(rows))
    found = knn_accuracy(
        queries, test.labels, other_features=rows, other_labels=train.labels, k=most, temperature=settings.temperature
    )
    first = measure_of(settings, dataset=test.provenance.dataset)
    if found.per_row is None:
        reason = found.reason or "no vote"
        return Outcome(scores=(Score(measure=first, value=None, n=len(test), reason=reason),))
    hits = found.per_row.double().cpu()
    notes = () if most == settings.neighbours else (f"train has {most} images, and all of them vote",)
    said = {"selection": f"none: {most} neighbours, temperature {settings.temperature:g}", "epochs": "none"}
    asked = class_numbers(train.labels, test.labels)[1].cpu()
    return Outcome(scores=classification_scores(hits, asked, first=first), per_image=hits, said=said, notes=notes)


def retrieval(features: LabelledFeatures, settings: RetrievalSettings) -> Outcome:
    """Return the mean average precision over test images that have another one of their class, and precision at k."""
    test = features.test
    assert isinstance(test.labels, Tensor)
    rows, _ = scaled(test.features, test.features, settings.rows)
    labels = test.labels.to(rows.device)
    counts = torch.bincount(labels, minlength=int(labels.max()) + 1)
    asked = (counts[labels] > 1).nonzero().squeeze(1)
    if len(asked) == 0:
        raise DataError("no class has two test images, so that nothing can be found again")
    parts: dict[str, list[Tensor]] = {"map": [], "precision_at_1": [], "precision_at_5": [], "precision_at_10": []}
    for part in torch.split(asked, _PANEL):
        near = rows[part] @ rows.T
        near[torch.arange(len(part)), part] = -torch.inf  # the query itself comes last, and is cut off
        order = near.argsort(dim=1, descending=True, stable=True)[:, :-1]
        relevant = (labels[order] == labels[part][:, None]).double()
        parts["map"].append(trapezoidal_precision(relevant))
        for depth in (1, 5, 10):
            parts[f"precision_at_{depth}"].append(relevant[:, :depth].mean(dim=1))
    found = {name: torch.cat(each).cpu() for name, each in parts.items()}
    own = labels[asked].cpu()
    scores = [_mean_score(name, each, own) for name, each in found.items()]
    said = {"selection": "none", "epochs": "none"}
    whole = torch.full((len(test),), float("nan"), dtype=torch.float64).index_copy(0, asked.cpu(), found["map"])
    return Outcome(scores=scores, per_image=whole, said=said, details={"alone_in_their_class": len(test) - len(asked)})


def trapezoidal_precision(relevant: Tensor) -> Tensor:
    """Return the average precision of ranked hits [N, M] as the Oxford buildings' code integrates it.

    Every relevant image adds the mean of the precision at its rank and of that just before it.

    Example:
        >>> trapezoidal_precision(torch.tensor([[1.0, 0.0, 1.0]])).tolist()
        [0.7916666666666666]
    """
    exact = relevant.double()
    rank = torch.arange(1, exact.shape[1] + 1, dtype=torch.float64, device=exact.device)
    found = exact.cumsum(dim=1)
    after = found / rank
    before = torch.where(rank > 1, (found - exact) / (rank - 1).clamp_min(1), 1.0)
    return (exact * (before + after) / 2).sum(dim=1) / exact.sum(dim=1)


def few_shot(features: LabelledFeatures, settings: FewShotSettings) -> Outcome:
    """Return the mean accuracy over episodes with the interval that papers give: 1.96 standard errors."""
    test = features.test
    assert isinstance(test.labels, Tensor)
    _, rows = scaled(features.train.features, test.features, settings.rows)
    needed = settings.shots + settings.queries
    members = [(test.labels == label).nonzero().squeeze(1) for label in torch.unique(test.labels)]
    members = [mine for mine in members if len(mine) >= needed]
    if len(members) < settings.ways:
        raise DataError(
            f"an episode takes {needed} test images of each of {settings.ways} classes",
            found=f"{len(members)} classes have so many",
            hint="--set ways=N, shots=N or queries=N",
        )
    draws = torch.Generator().manual_seed(settings.seed)
    each = torch.stack([_episode(rows, members, settings, draws) for _ in range(settings.episodes)])
    reach = 1.96 * float(each.std()) / settings.episodes**0.5 if settings.episodes > 1 else 0.0
    value = float(each.mean())
    score = Score(
        measure="episode_accuracy",
        value=value,
        low=max(0.0, value - reach),
        high=min(1.0, value + reach),
        method="1.96 standard errors over episodes, the test images fixed",
        n=settings.episodes,
    )
    task = f"{settings.ways} classes, {settings.shots} shots, {settings.queries} queries from test; train is not read"
    return Outcome(scores=(score,), said={"selection": f"none: {task}", "epochs": "none"})


def _episode(rows: Tensor, members: list[Tensor], settings: FewShotSettings, draws: torch.Generator) -> Tensor:
    chosen = torch.randperm(len(members), generator=draws)[: settings.ways].tolist()
    picked = []
    for label in chosen:
        mine = members[label]
        picked.append(rows[mine[torch.randperm(len(mine), generator=draws)[: settings.shots + settings.queries]]])
    images = torch.stack(picked)  # [ways, shots + queries, D]
    centres = images[:, : settings.shots].mean(dim=1)
    asked = images[:, settings.shots :].flatten(0, 1)
    found = torch.cdist(asked, centres).argmin(dim=1).view(settings.ways, settings.queries)
    return (found == torch.arange(settings.ways, device=found.device)[:, None]).double().mean().cpu()


def _mean_score(name: str, parts: Tensor, labels: Tensor) -> Score:
    found = mean_estimate(parts, labels)
    low, high = share_interval(found, rows=len(parts))
    method = "queries resampled, the gallery fixed"
    return Score(measure=name, value=found.value, low=low, high=high, method=method, n=len(parts))
