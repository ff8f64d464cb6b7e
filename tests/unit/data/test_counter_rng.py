"""Draws by counter: known values, independence of the batch, and uniformity."""

import numpy as np
import pytest

from repdiag.data.counter_rng import CounterStream, permutation, row_keys


def test_splitmix64_gives_the_published_sequence() -> None:
    # First outputs for the seeds 0 and 1234567 of Vigna's public-domain splitmix64.c (also in Java's tests).
    stream = CounterStream(np.array([0, 1234567], dtype=np.uint64))
    assert stream.bits(0, 3)[0].tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert stream.bits(0, 2)[1].tolist() == [6457827717110365317, 3203168211198807973]


def test_a_row_draws_the_same_alone_and_in_company() -> None:
    keys = row_keys(f"val/{row:06d}" for row in range(50))
    everyone = CounterStream.keyed(keys, purpose="test", seed=3, number=7, view=1).uniform(5, 9)
    alone = CounterStream.keyed(keys[13:14], purpose="test", seed=3, number=7, view=1)
    np.testing.assert_array_equal(alone.uniform(5, 9)[0], everyone[13])
    np.testing.assert_array_equal(alone.uniform(9, 2)[0], everyone[13, 4:6])


@pytest.mark.parametrize("change", [{"seed": 4}, {"number": 8}, {"view": 0}, {"purpose": "other"}])
def test_every_part_of_the_key_matters(change: dict[str, object]) -> None:
    keys = row_keys(["a"])
    key = {"purpose": "test", "seed": 3, "number": 7, "view": 1}
    first = CounterStream.keyed(keys, **key).bits(0, 4)
    other = CounterStream.keyed(keys, **(key | change)).bits(0, 4)
    assert not np.intersect1d(first, other).size


def test_uniforms_are_uniform_and_uncorrelated_across_rows_and_slots() -> None:
    keys = row_keys(str(row) for row in range(20_000))
    draws = CounterStream.keyed(keys, purpose="test", seed=0).uniform(0, 8)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    # Means of 160,000 uniforms: standard error .29 / 400 = .0007; bins: sqrt(10,000) = 100.
    assert abs(draws.mean() - 0.5) < 0.004
    counts = np.histogram(draws, bins=16, range=(0, 1))[0]
    assert np.abs(counts - 10_000).max() < 500
    correlation = np.corrcoef(draws.T) - np.eye(8)
    assert np.abs(correlation).max() < 0.04  # 1 / sqrt(20,000) = .007
    assert np.abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.04


def test_row_keys_accept_any_name_and_stay_the_same() -> None:
    names = ["", "a/b.jpg", "ü/日本.png", "\udcff.jpg", "line\nbreak"]
    assert len(set(row_keys(names).tolist())) == len(names)
    assert row_keys(["a/b.jpg"]).tolist() == [12595617411906399591]


def test_permutation_is_one_and_depends_on_seed_and_number() -> None:
    first = permutation(1000, purpose="order", seed=1, number=2)
    np.testing.assert_array_equal(np.sort(first), np.arange(1000))
    np.testing.assert_array_equal(first, permutation(1000, purpose="order", seed=1, number=2))
    assert (first != permutation(1000, purpose="order", seed=1, number=3)).mean() > 0.9
    assert (first != np.arange(1000)).mean() > 0.9
