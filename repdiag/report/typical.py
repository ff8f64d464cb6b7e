"""Typical values of the headline metrics: what they were for four encoders whose quality is known.

Measured on val by the default command, all with ten classes: ResNet-20 on the digits of scikit-learn (360 images),
untrained and after 8 epochs of MoCo v2; supervised ResNet-56 on CIFAR-10 (600 images); and an encoder that was trained
on four sub-labels of each class, so that classes lie in pieces.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPICAL_SOURCE = (
    "ten classes: ResNet-20 on digits, ResNet-56 on CIFAR-10, an encoder trained on sub-labels of its classes"
)
_OF = ("untrained", "MoCo v2, short", "supervised", "over-clustered")


def _of_four(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple((what, value) for what, value in zip(_OF, values, strict=True) if value)


TYPICAL: Mapping[str, tuple[tuple[str, str], ...]] = {
    "knn_accuracy": _of_four("63.9 %", "85.8 %", "85.0 %", ""),
    "r_precision": _of_four("20.6 %", "51.6 %", "66.3 %", "49.7 %"),
    "instance_discrimination_accuracy": _of_four("0.8 %", "6.7 %", "8.7 %", "8.4 %"),
    "pretext_gap": _of_four("-0.6 points", "+0.0 points", "-2.8 points", ""),
    "alignment": _of_four("0.036", "0.055", "0.427", "0.297"),
    "uniformity": _of_four("-0.050", "-0.434", "-1.522", "-1.427"),
    "intra_class_distance": _of_four("0.020", "0.106", "0.364", "0.410"),
    "class_distance_ratio": _of_four("0.79", "0.44", "0.40", "0.47"),
    "ami": _of_four("0.15", "0.56", "0.74", "0.55"),
    "kmeans_purity": _of_four("", "63.6 %", "83.3 %", "56.4 %"),
    "granularity": _of_four("5.5", "1.4", "1.03", "1.63"),
    "rankme": _of_four("5.8 of 64", "15.5 of 64", "28.9 of 64", "44.2"),
}
