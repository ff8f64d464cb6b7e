"""The untrained copy of an encoder: the reference that tells what training added."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from repdiag.checkpoints.encoder import Encoder


def has_weights(encoder: Encoder) -> bool:
    """Say whether there is anything to draw anew: an exported graph or a plain function keeps its weights to itself."""
    return any(True for _ in encoder.parameters())


def untrained_copy(encoder: Encoder, *, seed: int = 0) -> Encoder:
    """Return the same architecture with freshly drawn weights and empty batch-norm statistics.

    Every module that knows how to draw its own parameters does so (PyTorch's default initialisation), from `seed` and
    without touching the global random state. Free-standing parameters (position embeddings, class tokens) are drawn
    from a normal distribution with the standard deviation .02 that vision transformers start from.
    """
    made = copy.deepcopy(encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in made.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            else:
                _draw_own_parameters(module)
    made.info = replace(encoder.info, sha256="untrained", epoch=0, branch="untrained")
    return made.eval()


def _draw_own_parameters(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        nn.init.normal_(parameter, std=0.02)
