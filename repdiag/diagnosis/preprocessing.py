"""Were the images prepared as the encoder expects them? Read off what its first batch norm remembers of training.

A wrong mean or standard deviation changes the contrast of all channels at once; other images change some channels
more than others. So the verdict asks for both: a median far from 1, and hardly a channel on the other side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from repdiag.core.errors import MetricError
from repdiag.core.input_statistics import GIVEN, HALVED, InputReading, InputStatistics
from repdiag.diagnosis.verdict import Advice, Evidence, Finding, Reading

QUESTION = "Are the images preprocessed as in training?"
AS_TRAINED, NOT_AS_TRAINED, CANNOT_TELL = "as in training", "not as in training", "cannot tell"
METRIC = "first_batch_norm_log_variance_ratio"
_DEAD = 1e-4  # of the largest variance: a channel that says nothing has no ratio worth the name
_RESAMPLES, _LEVEL = 200, 0.95
_FEWEST = 16  # images


@dataclass(frozen=True, kw_only=True)
class PreprocessingLimits:
    """Where the verdict turns, in the logarithm of variance at the first batch norm over the one that it remembers.

    Measured (docs/calibration.md): with the right mean and std the median lies between -.5 and +.5 on images like
    those of training, and within .9 on quite other ones; std .5 for ImageNet's .229 gives -1.0 to -1.8, pixels in
    [0, 1] -1.7 to -3.1, pixels in [0, 255] +8.
    """

    wrong: float = 1.0
    """Distance of the median from 0 from which the contrast is not that of training."""

    sound: float = 0.7
    """Distance below which it is."""

    wrong_shift: float = 1.0
    """Median distance of the means, in standard deviations that the layer remembers, from which brightness is not."""

    sees_contrast: float = 0.7
    """Change of the median at half the contrast (1.39 for a linear layer) below which the layer does not see it."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingFinding(Finding):
    """The answer, with the common normalisation that would fit better (None where none does)."""

    better: str | None = None


@dataclass(frozen=True)
class _Ratios:
    """Log variance ratio of the channels of one reading, their shift, and the interval of the median ratio."""

    reading: InputReading
    median: float
    low: float
    high: float
    lower_quarter: float
    upper_quarter: float
    shift: float

    @property
    def distance(self) -> float:
        """Return how far the statistics are from those remembered: contrast and brightness together."""
        return math.hypot(self.median, self.shift)


def judge_preprocessing(
    statistics: InputStatistics | None, *, limits: PreprocessingLimits | None = None, seed: int = 0
) -> PreprocessingFinding:
    """Return whether images reach the first batch norm as those of training did: verdict, evidence, what to try.

    Formula:      r_c = log(var_c(images) / running_var_c) over the channels c of the first batch norm; "not as in
                  training" where |median_c r_c| >= 1 and three quarters of the channels lie on that side, or where the
                  median shift of the means is >= 1 remembered standard deviation; "as in training" where the
                  median is within +-.7 and its interval (images resampled) within +-1; "cannot tell" between, for a
                  network without batch norm, and for one whose batch norm does not see the contrast.
    Errors:       `MetricError` where a reading has fewer than 16 images.

    Example:
        >>> judge_preprocessing(None).verdict
        'cannot tell'
    """
    limits = limits or PreprocessingLimits()
    if statistics is None:
        return _cannot_tell("the network has no batch norm with training statistics", (), limits)
    given = _ratios(statistics, statistics.reading(GIVEN), seed=seed)
    halved = _ratios(statistics, statistics.reading(HALVED), seed=seed)
    if given.median - halved.median < limits.sees_contrast:
        return _cannot_tell(f"{statistics.layer} does not see the contrast of the images", (), limits)
    others = [_ratios(statistics, item, seed=seed) for item in statistics.readings if item.name not in (GIVEN, HALVED)]
    closest = min(others, key=lambda item: item.distance, default=None)
    better = closest if closest is not None and closest.distance + limits.sound < given.distance else None
    verdict = _verdict(given, limits)
    evidence = _evidence(given, statistics.layer, verdict, limits)
    if verdict == CANNOT_TELL:
        return _cannot_tell(f"{evidence.sentence[0].lower()}{evidence.sentence[1:].rstrip('.')}", (evidence,), limits)
    if verdict == AS_TRAINED:
        return _finding(verdict, f"The images look like the training images: {_said(given)}.", evidence, limits)
    said = f"These images do not look like the encoder's training images: {_said(given)}."
    if better is not None:
        said += f" With {better.reading.name} it would be {_said(better, short=True)}."
    return _finding(verdict, said, evidence, limits, better=better)


def _verdict(given: _Ratios, limits: PreprocessingLimits) -> str:
    too_low = given.median <= -limits.wrong and given.upper_quarter < 0.0
    too_high = given.median >= limits.wrong and given.lower_quarter > 0.0
    if too_low or too_high or given.shift >= limits.wrong_shift:
        return NOT_AS_TRAINED
    sound = abs(given.median) < limits.sound and max(abs(given.low), abs(given.high)) < limits.wrong
    return AS_TRAINED if sound else CANNOT_TELL


def _ratios(statistics: InputStatistics, reading: InputReading, *, seed: int) -> _Ratios:
    images = len(reading.means)
    if images < _FEWEST:
        raise MetricError(
            f"the check of the preprocessing needs {_FEWEST} images", found=str(images), hint="give it more images"
        )
    remembered = statistics.running_var.double()
    alive = remembered > _DEAD * remembered.max()
    means, squares, variances = reading.means.double()[:, alive], reading.squares.double()[:, alive], remembered[alive]
    found = _log_ratios(means.mean(0), squares.mean(0), variances)
    shift = (means.mean(0) - statistics.running_mean.double()[alive]).abs() / variances.sqrt()
    draws = torch.randint(images, (_RESAMPLES, images), generator=Generator().manual_seed(seed))
    weights = torch.nn.functional.one_hot(draws, images).sum(1).double() / images
    medians = _log_ratios(weights @ means, weights @ squares, variances).median(dim=1).values
    tail = (1.0 - _LEVEL) / 2.0
    low, high = (float(medians.quantile(share)) for share in (tail, 1.0 - tail))
    quarters = found.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
    return _Ratios(
        reading=reading,
        median=quarters[1],
        low=min(low, quarters[1]),
        high=max(high, quarters[1]),
        lower_quarter=quarters[0],
        upper_quarter=quarters[2],
        shift=float(shift.median()),
    )


def _log_ratios(means: Tensor, squares: Tensor, remembered: Tensor) -> Tensor:
    seen = (squares - means.square()).clamp_min(_DEAD**2 * remembered)
    return (seen / remembered).log()


def _said(found: _Ratios, *, short: bool = False) -> str:
    factor = math.exp(abs(found.median) / 2.0)
    where = "as strong" if factor < 1.1 else f"{factor:.1f} times {'weaker' if found.median < 0 else 'stronger'}"
    contrast = f"{where}{' as' if factor < 1.1 else ' than'} in training"
    if short:
        return contrast
    moved = f", brightness off by {found.shift:.1f} standard deviations" if found.shift >= 0.5 else ""
    return f"at its first batch norm their contrast is {contrast}{moved}"


def _evidence(given: _Ratios, layer: str, verdict: str, limits: PreprocessingLimits) -> Evidence:
    readings: dict[str, Reading] = {AS_TRAINED: "against", NOT_AS_TRAINED: "for", CANNOT_TELL: "neutral"}
    return Evidence(
        metric=METRIC,
        params={
            "layer": layer,
            "lower_quarter": given.lower_quarter,
            "upper_quarter": given.upper_quarter,
            "shift": given.shift,
            "images": len(given.reading.means),
        },
        space="input",
        split="val",
        value=given.median,
        ci_low=given.low,
        ci_high=given.high,
        ci_method=f"{_RESAMPLES} resamples of the images",
        threshold=limits.wrong if given.median >= 0.0 else -limits.wrong,
        against_what="running statistics",
        reading=readings[verdict],
        sentence=f"The log variance ratio at {layer} is {given.median:+.2f} [{given.low:+.2f}, {given.high:+.2f}] "
        f"in the median channel, {given.lower_quarter:+.2f} to {given.upper_quarter:+.2f} in the middle half of them.",
    )


def _cannot_tell(why: str, evidence: tuple[Evidence, ...], limits: PreprocessingLimits) -> PreprocessingFinding:
    return PreprocessingFinding(
        question=QUESTION,
        verdict=CANNOT_TELL,
        severity="unknown",
        summary=f"Whether the images are preprocessed as in training cannot be judged: {why}.",
        evidence=evidence,
        thresholds=_shown(limits),
    )


def _finding(
    verdict: str, summary: str, evidence: Evidence, limits: PreprocessingLimits, *, better: _Ratios | None = None
) -> PreprocessingFinding:
    wrong = verdict == NOT_AS_TRAINED
    return PreprocessingFinding(
        question=QUESTION,
        verdict=verdict,
        severity="marked" if wrong else "none",
        summary=summary,
        evidence=(evidence,),
        thresholds=_shown(limits),
        advice=(_advice(better),) if wrong else (),
        better=None if better is None else better.reading.name,
    )


def _advice(better: _Ratios | None) -> Advice:
    flags = "" if better is None else f" {_flags(better.reading)}"
    return Advice(
        what=f"Read the encoder with the normalisation it was trained with:{flags or ' set --mean and --std'}.",
        because="With another contrast or brightness, a network computes wrong features, without any error message.",
        reference="ioffe2015",
        limits="Batch norms store the statistics of augmented training images. Images of another kind differ too.",
    )


def _flags(reading: InputReading) -> str:
    mean, std = (",".join(f"{value:.4g}" for value in values) for values in (reading.mean, reading.std))
    return f"--mean {mean} --std {std}"


def _shown(limits: PreprocessingLimits) -> dict[str, float]:
    return {"preprocessing_wrong": limits.wrong, "preprocessing_sound": limits.sound}
