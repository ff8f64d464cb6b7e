"""`Candidate`: an architecture that could be the one whose tensors a file holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.facts import Fact, Origin


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A name, how to build the network without its head, where its features are read, and what else is to be said.

    `facts` are what changes its output and has no tensor; `image_size` is a size that is known with the architecture,
    and `image_size_origin` says that its tensors show it. `recorded` says that its sizes are those of a settings
    file and not of the tensors; `settings` are the arguments of timm's constructor that it was built with, and
    `config` is the config.json that describes it, without which it cannot be built again. `tensors` are those of
    the file under the names of this network, where no keymap gives them, `unused` the names of those that it left.
    """

    name: str
    build: Callable[[], nn.Module]
    layer: str = "pooling"
    image_size: int | None = None
    image_size_origin: Origin | None = None
    assumptions: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    recorded: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    tensors: Mapping[str, Tensor] | None = None
    unused: tuple[str, ...] = ()
