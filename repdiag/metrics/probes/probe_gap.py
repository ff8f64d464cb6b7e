"""`probe_gap`: does a linear probe read classes better off images that the encoder was trained on?"""

from __future__ import annotations

from typing import Any

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels, Tensor
from repdiag.metrics.inference.resampling import cut_rows
from repdiag.metrics.probes.ridge_halves import as_first_seen, same_share
from repdiag.metrics.probes.ridge_probe_accuracy import ridge_probe_accuracy
from repdiag.metrics.registry import Part, Sides, metric
from repdiag.metrics.settings import Seed

MOST_ROWS = 4000  # of the bank: more would make the probe better on both sides, and the gap no surer


def _sides(
    features: Tensor,
    labels: Tensor,
    *,
    other_features: Tensor,
    other_labels: Tensor,
    seed: int = 0,
    **_: Any,
) -> Sides:
    bank = {"features": other_features, "labels": other_labels}
    chosen = same_share(as_first_seen(other_labels.cpu().numpy()), most=MOST_ROWS, seed=seed)
    rows = None if chosen is None else torch.from_numpy(chosen).to(other_labels.device)
    if chosen is not None:
        bank = {name: cut_rows(name, value, chosen) for name, value in bank.items()}
    fitted = {"other_features": bank["features"], "other_labels": bank["labels"], "seed": seed}
    name = "ridge_probe_accuracy"
    return (
        [Part(metric=name, arguments={**bank, "seed": seed}, rows=rows)],
        [Part(metric=name, arguments={"features": features, "labels": labels, **fitted})],
    )


@metric(
    direction="context",
    bounds=(-1.0, 1.0),
    invariances={"scale", "translation"},
    version=1,
    reference="alain2016",
    interval="two_sets",
    second="bank",
    sides=_sides,
)
def probe_gap(
    features: Features,
    labels: Labels,
    *,
    other_features: Float[Tensor, "M D"],
    other_labels: Integer[Tensor, "M"],
    seed: Seed = 0,
) -> MetricValue:
    """Probe gap: accuracy of a linear probe on unread rows of the bank, the train images, minus that on the rows.

    Formula:      ridge_probe_accuracy(bank) - ridge_probe_accuracy(rows; bank): the same two probes, each fitted to
                  half of the bank, read the other half of the bank, and half of the rows
    Shapes:       features [N, D], labels [N], other_features [M, D], other_labels [M] -> scalar.
    Range:        -1 to 1.  Better: near 0.
    Invariant:    scale, translation.   Not invariant: rotation, row order, as ridge_probe_accuracy.
    Conventions:  the probe has seen neither the rows nor the half of the bank that it reads: what differs is that the
                  encoder has seen the bank. Classes that one of the sets lacks make the gap meaningless: no value. Of a
                  bank of more than 4,000 rows as many are drawn, the same share of every class. The interval is that
                  of two sets of images of the same classes, drawn independently, for probes that are given.
    Read it as:   overfitting to the labels. An encoder that memorised its 500 train images has +.08 to +.30, healthy
                  ones at most +.05, most of them less than .03. More sensitive than label_gap.
    Limits:       judges the images in the bank: take those that the encoder was trained on. A probe on few rows of many
                  classes reads little on either side.
    Cost:         two fits, as ridge_probe_accuracy, on at most 2,000 rows. One core: 2 s for 10,000 x 384 and 100
                  classes or for 20,000 x 256 and 1,000 classes, 15 s for 4,000 x 2048 and 1,000 classes.
    Reference:    the difference of a measure of Alain & Bengio 2016. Closed form: tests/closed_form/test_probes.py.
    Example:      >>> import torch
                  >>> rows, seen = torch.eye(2).repeat(6, 1), torch.arange(2).repeat(6)
                  >>> float(probe_gap(rows, seen.flip(0), other_features=rows, other_labels=seen))
                  1.0
    """
    if set(torch.unique(labels).tolist()) != set(torch.unique(other_labels).tolist()):
        return undefined("the rows and the bank must hold the same classes", n=len(features))
    bank, rows = _sides(features, labels, other_features=other_features, other_labels=other_labels, seed=seed)
    seen, held_out = (ridge_probe_accuracy(**side[0].arguments) for side in (bank, rows))
    if seen.value is None or held_out.value is None:
        return undefined(str(seen.reason or held_out.reason), n=len(features))
    extra = {"rows": held_out.value, "bank": seen.value, "bank_rows": seen.n}
    return MetricValue(value=seen.value - held_out.value, n=len(features), extra=extra)
