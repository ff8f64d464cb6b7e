"""Means of logged values between two rows of the history, kept on the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Meters:
    """Running sums in float64; reading them is the only moment that waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._names: tuple[str, ...] = ()
        self._sums = torch.zeros(0, dtype=torch.float64, device=device)
        self._count = 0
        self._bad_step = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, loss: Tensor, logs: dict[str, Tensor], *, step: int) -> None:
        """Add one step's values; `step` counts from 1 and is remembered when its loss is the first non-finite one."""
        names = ("loss", *logs)
        if names != self._names:
            self._names, self._count = names, 0
            self._sums = torch.zeros(len(names), dtype=torch.float64, device=self._device)
        self._sums += torch.stack([value.detach().double() for value in (loss, *logs.values())])
        self._count += 1
        is_first_bad = ~torch.isfinite(loss.detach()) & (self._bad_step == 0)
        self._bad_step = torch.where(is_first_bad, torch.full_like(self._bad_step, step), self._bad_step)

    def first_bad_step(self) -> int | None:
        """Return the first step whose loss was not finite."""
        return int(self._bad_step) or None

    def means(self) -> dict[str, float]:
        """Return the means since the last reset."""
        return dict(zip(self._names, (self._sums / max(self._count, 1)).tolist(), strict=True))

    def share(self, average: Callable[[Tensor], Tensor]) -> None:
        """Replace this process's sums by their `average` over processes; sharing again changes nothing."""
        self._sums = average(self._sums)

    def reset(self) -> None:
        """Start the next interval."""
        self._sums = torch.zeros_like(self._sums)
        self._count = 0

    def state(self) -> dict[str, object]:
        """Return what a resumed run needs to finish the interval."""
        return {"names": list(self._names), "sums": self._sums.clone(), "count": self._count}

    def load(self, state: dict[str, object]) -> None:
        """Restore `state`."""
        names, sums, count = state["names"], state["sums"], state["count"]
        assert isinstance(names, list)
        assert isinstance(sums, Tensor)
        assert isinstance(count, int)
        self._names, self._sums, self._count = tuple(names), sums.to(self._device, torch.float64), count
