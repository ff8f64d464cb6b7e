"""A Lightning callback around `RepresentationMonitor`."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from repdiag.integrations.monitor import RepresentationMonitor, as_scalars

if TYPE_CHECKING:
    from torch import nn


def lightning_callback(monitor: RepresentationMonitor, *, backbone: str = "backbone", every_epochs: int = 1) -> Any:
    """Return a callback that logs `repdiag/METRIC` of the module's attribute `backbone` every so many epochs.

    The attribute may lie deeper: "student.encoder".

    Works with `lightning` and with `pytorch_lightning`, whichever is installed.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError:
        from pytorch_lightning import Callback

    class _RepresentationCallback(Callback):  # type: ignore[misc, unused-ignore]
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            done = trainer.current_epoch + 1
            if done % every_epochs == 0 and trainer.is_global_zero:
                model: nn.Module = attrgetter(backbone)(pl_module)
                scalars = as_scalars(monitor(model, epoch=done))
                pl_module.log_dict(
                    {f"repdiag/{name}": value for name, value in scalars.items()}, rank_zero_only=True, sync_dist=False
                )

    return _RepresentationCallback()
