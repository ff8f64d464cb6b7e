"""`Format`: what is known about the files of one family of repositories, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.checkpoints.facts import ASSUMED, FAMILY, Origin
from repdiag.checkpoints.reading.contents import Contents, State

if TYPE_CHECKING:
    from repdiag.checkpoints.architectures.candidate import Candidate


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
    """What is done to images in [0, 1] before the network.

    `image_size` is certain (told or recorded); where it is None the tensors say, and where they do not, `usual_size`,
    the size of the family's own evaluation. `resize` is the shorter side before the crop; `squash` resizes both sides.
    `bgr` says that the network takes blue first; mean and std are in its order.
    `origin` says where all of this was read, `origins` where single fields were.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    image_size: int | None = None
    usual_size: int | None = None
    resize: int | None = None
    squash: bool = False
    interpolation: str = "bilinear"
    bgr: bool = False
    origin: Origin = FAMILY
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def origin_of(self, name: str) -> Origin:
        """Return where a field was read."""
        return self.origins.get(name, self.origin)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What cannot be read from names and shapes and changes the output; None where nothing is known.

    `heads` maps an embedding width (0: any) to its attention heads; `resample` says how position embeddings are
    resized, `grid` how many rows and columns of patches they stand for; `pool` is "token", "mean", "max", "map",
    "mean+max" or "gem"; `project` applies the projection that follows the pooling; `pool_first` normalises after the
    pooling. Of ResNets: the stem's padding, stride, max-pool and ReLU; `stride_in` is "1x1" where bottlenecks stride
    in their first convolution; `output_stride` is what the last map is smaller by, `dilated` whether dilation takes
    the place of strides. `arch_like` prefers architectures whose names contain it,
    `config` is the config.json beside the weights, `unsupported`
    a setting of it that no network here can follow. `origins` says where a field was
    read; without an entry it is what the family's own code does.
    """

    heads: Mapping[int, int] = field(default_factory=dict)
    norm_eps: float | None = None
    stem_padding: int | None = None
    stem_stride: int | None = None
    stem_pool: bool | None = None
    stem_relu: bool = True
    stride_in: str | None = None
    output_stride: int | None = None
    dilated: bool | None = None
    resample: str | None = None
    grid: tuple[int, int] | None = None
    pool: str | None = None
    gem_power: float = 3.0
    project: bool = False
    pool_first: bool = False
    activation: str | None = None
    arch_like: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    unsupported: str | None = None
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def origin_of(self, name: str) -> Origin:
        """Return where a field was read; a field that is None is assumed."""
        return self.origins.get(name, ASSUMED if getattr(self, name) in (None, {}) else FAMILY)

    def with_origin(self, origin: Origin, **values: Any) -> Facts:
        """Return these facts with other values, read at `origin`."""
        return replace(self, **values, origins={**self.origins, **dict.fromkeys(values, origin)})


@dataclass(frozen=True, kw_only=True)
class Format:
    """A family of checkpoint files. The first branch that is present is the family's own default.

    `heads` are prefixes within the encoder that are not the backbone; `known` are prefixes elsewhere in the state
    dict that are understood and left (queues, predictors, prototypes). `arch` reads the architecture's name where the
    file records it, `training` the settings it records, `notes` what the user should know.
    `of_libraries` says that the network may be any of timm's or torchvision's, and not only the family's usual ones.
    `networks` gives the networks that the file's settings describe in full, which come first, `last_networks` those of
    other libraries, tried where nothing else fits. `notes_on` is what is to be said of this file.
    `reads` names the settings that are read, and `tried` what wrote the files that it was tried with, for the page of
    formats.
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
    notes_on: Callable[[Contents], tuple[str, ...]] = lambda contents: ()  # noqa: ARG005
    networks: Callable[[Contents, State, Facts], list[Candidate]] = lambda contents, state, facts: []  # noqa: ARG005
    last_networks: Callable[[Contents, State, Facts], list[Candidate]] = lambda contents, state, facts: []  # noqa: ARG005
    asks: Callable[[Contents], bool] = lambda contents: False  # noqa: ARG005
    least_linear: int = 1
    of_libraries: bool = False
    reads: tuple[str, ...] = ()
    tried: str = "a network under the names that its code gives"

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
