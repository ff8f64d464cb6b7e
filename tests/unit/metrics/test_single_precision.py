"""Float32 sums are used where they lose nothing, and only there.

ROUNDING is one unit of float32: sums of thousands of roundings of that size must stay below it, or they do not cancel.
"""

from __future__ import annotations

import torch

from repdiag.metrics import inter_class_distance, intra_class_distance, linear_cka
from repdiag.metrics.algebra.moments import joint_moments, second_moment
from repdiag.metrics.algebra.single_precision import single_precision_suffices, unit_class_sums
from repdiag.metrics.spectrum.singular_values import singular_values

ROWS, DIMS, CLASSES = 6_000, 48, 7
ROUNDING = 2.0**-23


def drawn(*, spread: float, offset: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of some classes of unequal size, `spread` about their centres."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, CLASSES, (ROWS,), generator=generator).square() % CLASSES
    centres = torch.randn(CLASSES, DIMS, generator=generator) + offset
    return centres[labels] + spread * torch.randn(ROWS, DIMS, generator=generator), labels


def test_class_distances_of_many_float32_rows_are_those_of_float64() -> None:
    features, labels = drawn(spread=1.0)
    assert single_precision_suffices(features)
    for metric in (intra_class_distance, inter_class_distance):
        exact = float(metric(features.double(), labels))
        assert abs(float(metric(features, labels)) - exact) <= ROUNDING * exact


def test_tight_classes_are_summed_in_float64() -> None:
    features, labels = drawn(spread=1e-3)
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    assert unit_class_sums(features, index, counts) is None
    exact = float(intra_class_distance(features.double(), labels))
    assert exact < 1e-4
    assert abs(float(intra_class_distance(features, labels)) - exact) <= ROUNDING * exact


def test_a_cone_of_all_classes_is_summed_in_float64() -> None:
    features, labels = drawn(spread=1.0, offset=300.0)
    exact = float(inter_class_distance(features.double(), labels))
    assert exact < 1e-3
    assert abs(float(inter_class_distance(features, labels)) - exact) <= ROUNDING * exact


def test_extreme_norms_are_left_to_float64() -> None:
    features, labels = drawn(spread=1.0)
    features[0] *= 1e25  # its square overflows float32
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    assert unit_class_sums(features, index, counts) is None
    assert (
        abs(float(intra_class_distance(features, labels)) - float(intra_class_distance(features.double(), labels)))
        < 1e-9
    )


def test_products_of_two_encoders_are_centred_before_they_are_rounded() -> None:
    features, _ = drawn(spread=1.0, offset=1_000.0)
    other = features[:, :20] + torch.randn(ROWS, 20, generator=torch.Generator().manual_seed(4))
    single, double = joint_moments(features, other), joint_moments(features.double(), other.double())
    for name in ("own", "other", "cross", "squares", "other_squares"):
        found, exact = getattr(single, name), getattr(double, name)
        # A sum of four thousand squares is rounded as often as it has terms: the promise of 1e-6 is for this.
        assert float((found - exact).abs().max()) <= 1e-6 * float(exact.abs().max())
    exact_cka = float(linear_cka(features.double(), other_features=other.double()))
    assert abs(float(linear_cka(features, other_features=other)) - exact_cka) <= 2 * ROUNDING


def test_second_moment_is_the_product_with_the_transpose() -> None:
    features = drawn(spread=1.0)[0].double()[:2_500]
    assert torch.allclose(second_moment(features, centred=False), features.T @ features, rtol=1e-12, atol=1e-9)


def test_singular_values_below_the_reach_of_the_gram_matrix_keep_their_digits() -> None:
    generator = torch.Generator().manual_seed(5)
    left = torch.linalg.qr(torch.randn(3_000, 6, generator=generator, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    wanted = torch.tensor([1.0, 0.1, 1e-3, 1e-6, 1e-9, 1e-12], dtype=torch.float64)
    found = singular_values(left * wanted @ right)
    # Rounding of the rows themselves moves a singular value by 1e-16 of the largest.
    assert torch.allclose(found, wanted, rtol=1e-3, atol=0.0)
