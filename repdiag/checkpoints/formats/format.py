"""`Format`: what is known about the files of one family of repositories, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.checkpoints.reading.contents import Contents


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One encoder of a file: the state dict it is in and what its names start with.

    `projector` lists where its projection head may be: within the same state dict, after "./" within the encoder, or
    as "PLACE:PREFIX" in another state dict of the file.
    """

    name: str
    place: str = "state_dict"
    prefix: str = ""
    projector: tuple[str, ...] = ()

    def present(self, contents: Contents) -> bool:
        """Say whether the file holds this branch."""
        return contents.has(self.place, self.prefix)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What the family's own evaluation does to images in [0, 1]; `image_size` None leaves it to the architecture."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    image_size: int | None = None
    resize: int | None = None
    interpolation: str = "bilinear"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What cannot be read from names and shapes and changes the output; None where the family does not fix it.

    `heads` maps an embedding width to its attention heads; `resample` says how position embeddings are resized;
    `pool` is "token", "mean" or "projection"; `arch_like` prefers architectures whose names contain it.
    """

    heads: Mapping[int, int] = field(default_factory=dict)
    norm_eps: float | None = None
    stem_padding: int | None = None
    stem_relu: bool = True
    resample: str | None = None
    pool: str | None = None
    activation: str | None = None
    arch_like: str | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """A family of checkpoint files. The first branch that is present is the family's own default.

    `heads` are prefixes within the encoder that are not the backbone; `known` are prefixes elsewhere in the state
    dict that are understood and left (queues, predictors, prototypes). `arch` reads the architecture's name where the
    file records it, `training` the settings it records, `notes` what the user should know.
    `of_libraries` says that the network may be any of timm's or torchvision's, and not only the family's usual ones.
    `asks` says that no habit of the family decides between the branches, so that the user must; `least_linear` is how
    many linear layers make a projection head.
    """

    name: str
    title: str
    recognise: Callable[[Contents], bool]
    branches: Callable[[Contents], tuple[Branch, ...]] | tuple[Branch, ...]
    heads: tuple[str, ...] = ("fc.", "head.", "heads.", "classifier.", "linear.")
    known: tuple[str, ...] = ()
    head_activation: str = "relu"
    preprocessing: Callable[[Contents], Preprocessing] | Preprocessing = Preprocessing()
    facts: Callable[[Contents], Facts] | Facts = Facts()
    arch: Callable[[Contents], Any] = lambda contents: contents.setting("arch")
    training: Callable[[Contents], dict[str, Any]] = lambda contents: {}  # noqa: ARG005
    notes: tuple[str, ...] = ()
    asks: Callable[[Contents], bool] = lambda contents: False  # noqa: ARG005
    least_linear: int = 1
    of_libraries: bool = False

    def present_branches(self, contents: Contents) -> tuple[Branch, ...]:
        """Return the branches that the file holds, the default first."""
        branches = self.branches(contents) if callable(self.branches) else self.branches
        return tuple(branch for branch in branches if branch.present(contents))

    def facts_of(self, contents: Contents) -> Facts:
        """Return the facts for this file."""
        return self.facts(contents) if callable(self.facts) else self.facts

    def preprocessing_of(self, contents: Contents) -> Preprocessing:
        """Return how this file's images are prepared."""
        return self.preprocessing(contents) if callable(self.preprocessing) else self.preprocessing
