"""A Hugging Face `Trainer` callback around `RepresentationMonitor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from repdiag.integrations.monitor import RepresentationMonitor, as_scalars

if TYPE_CHECKING:
    from torch import nn


def trainer_callback(
    monitor: RepresentationMonitor,
    *,
    backbone: Callable[[nn.Module], nn.Module],
    report: Callable[[dict[str, Any]], None],
) -> Any:
    """Return a callback that evaluates `backbone(model)` after every epoch and hands the values to `report`.

    `report` is usually the trainer's own `log`; the callback cannot reach it, since it is made before the trainer.
    """
    from transformers import TrainerCallback

    class _RepresentationCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            del args, control
            if state.is_world_process_zero:
                scalars = as_scalars(monitor(backbone(kwargs["model"]), epoch=round(state.epoch)))
                report({f"repdiag/{name}": value for name, value in scalars.items()})

    return _RepresentationCallback()
