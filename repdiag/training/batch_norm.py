"""Batch normalisation over the whole batch of a step, whichever processes hold its parts."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override


def synchronize_batch_norm(module: nn.Module, *, device: torch.device) -> None:
    """Let every batch norm below `module` take its statistics over all processes; weights and names stay."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _synchronized(child))
        else:
            synchronize_batch_norm(child, device=device)


class SynchronizedBatchNorm(_BatchNorm):
    """What `nn.SyncBatchNorm` does, for the CPU, which that one refuses; all processes hold equally many rows."""

    @override
    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2 dimensions, got {input.dim()}")

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Normalise by the batch in training, by the running statistics otherwise."""
        if not self.training:
            return super().forward(input)
        over = [axis for axis in range(input.dim()) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(input.dim())]
        mean = _average(input.mean(dim=over))
        centered = input - mean.view(shape)
        variance = _average(centered.square().mean(dim=over))
        if self.running_mean is not None and self.running_var is not None:
            self._follow(
                mean.detach(), variance.detach(), count=input.numel() // input.shape[1] * dist.get_world_size()
            )
        result = centered * torch.rsqrt(variance + self.eps).view(shape)
        return result if self.weight is None else result * self.weight.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), share)


def _average(values: Tensor) -> Tensor:
    reduced: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return reduced / dist.get_world_size()


def _synchronized(norm: _BatchNorm) -> SynchronizedBatchNorm:
    twin = SynchronizedBatchNorm(
        norm.num_features,
        eps=norm.eps,
        momentum=norm.momentum,
        affine=norm.affine,
        track_running_stats=norm.track_running_stats,
    )
    twin.load_state_dict(norm.state_dict())
    for own, theirs in zip(twin.parameters(), norm.parameters(), strict=True):
        own.requires_grad_(theirs.requires_grad)
    return twin.train(norm.training)
