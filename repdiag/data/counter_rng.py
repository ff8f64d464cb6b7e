"""Random numbers as a pure function of (seed, image, number, slot): the same for any batch, worker or machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Uniforms = NDArray[np.float64]

# SplitMix64 (Steele, Lea & Flood 2014): the increment of its counter and the multipliers of its finaliser.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def row_keys(row_ids: Iterable[str]) -> Keys:
    """Return a 64-bit key for each row id, the same on every machine."""
    digests = (hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8) for name in row_ids)
    return np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="<u8").astype(np.uint64)


@dataclass(frozen=True, eq=False)
class CounterStream:
    """One SplitMix64 sequence a row, read by position (the slot) and never by order of calls."""

    origins: Keys

    @classmethod
    def keyed(cls, keys: Keys, *, purpose: str, seed: int, number: int = 0, view: int = 0) -> CounterStream:
        """Return the streams of the rows `keys`; `purpose` keeps uses apart that share a seed."""
        name = f"{purpose}:{seed}:{number}:{view}".encode()
        offset = np.frombuffer(hashlib.blake2b(name, digest_size=8).digest(), dtype="<u8").astype(np.uint64)
        return cls(_finalise(keys ^ offset))

    def rows(self, chosen: NDArray[np.int64]) -> CounterStream:
        """Return the streams of some of the rows."""
        return CounterStream(self.origins[chosen])

    def bits(self, slot: int, count: int = 1) -> Keys:
        """Return 64 random bits for each row and each of `count` slots from `slot` on: [B, count]."""
        steps = np.arange(slot + 1, slot + 1 + count, dtype=np.uint64) * _GAMMA
        return _finalise(self.origins[:, None] + steps)

    def uniform(self, slot: int, count: int = 1) -> Uniforms:
        """Return uniforms in [0, 1) of 53 bits: [B, count]."""
        return (self.bits(slot, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(size: int, *, purpose: str, seed: int, number: int = 0) -> NDArray[np.int64]:
    """Return a random order of range(size), a pure function of its arguments."""
    stream = CounterStream.keyed(np.arange(size, dtype=np.uint64), purpose=purpose, seed=seed, number=number)
    return np.argsort(stream.bits(0)[:, 0], kind="stable")


def _finalise(state: Keys) -> Keys:
    state = (state ^ (state >> _SHIFTS[0])) * _MULTIPLIERS[0]
    state = (state ^ (state >> _SHIFTS[1])) * _MULTIPLIERS[1]
    return state ^ (state >> _SHIFTS[2])
