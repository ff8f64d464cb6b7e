"""Finds networks of known naming anywhere in a file that no family claims: under which place and which prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from torch import Tensor

from repdiag.checkpoints.architectures.named import is_indexed
from repdiag.checkpoints.formats.format import Branch
from repdiag.checkpoints.keymaps import KEYMAPS
from repdiag.checkpoints.reading.branches import BRANCH_NAMES
from repdiag.checkpoints.reading.contents import Contents, under

_SEGMENTS = 5  # how deep in a name a network may begin
_SMALLEST = 16  # tensors that a network has at least: the trunk of VGG11
_MOST_NAMES = 20_000  # in all that is looked through; encoders with their twins have a few thousand
_MOST_TRIED = 64
_ROLES = {"encoder_q": "query", "encoder_k": "key", "momentum_encoder": "momentum", "base_encoder": "base"}


_KNOWN: WeakKeyDictionary[Contents, tuple[Branch, ...]] = WeakKeyDictionary()


def discovered(contents: Contents) -> tuple[Branch, ...]:
    """Return a branch for each network in the file, named by its role where its prefix tells, else by its prefix."""
    if contents not in _KNOWN:
        _KNOWN[contents] = _discover(contents)
    return _KNOWN[contents]


def _discover(contents: Contents) -> tuple[Branch, ...]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    left = _MOST_NAMES
    for place in contents.places():
        state = contents.state(place) or {}
        left -= len(state)
        if left >= 0:
            found |= {(place, prefix): tuple(filter(None, (place, prefix))) for prefix in _prefixes(state)}
    roles = {key: _role(f"{key[0]}/{key[1]}") for key in found}
    if len(roles) == 1:
        roles = {key: role or "online" for key, role in roles.items()}
    unique = {role for role, times in Counter(roles.values()).items() if role and times == 1}
    return tuple(
        Branch(
            name=role if role in unique else "/".join(found[key]).strip(".") or "online", place=key[0], prefix=key[1]
        )
        for key, role in roles.items()
    )


def is_known_network(state: Mapping[str, Tensor]) -> bool:
    """Say whether these are the names of a network that some naming, structure or library's index knows."""
    resnet = "conv1.weight" in state and "layer1.0.conv1.weight" in state and "layer3.0.conv1.weight" in state
    transformer = "pos_embed" in state and "blocks.0.attn.qkv.weight" in state
    return resnet or transformer or any(keymap.applies(state) for keymap in KEYMAPS) or is_indexed(state)


def _prefixes(state: Mapping[str, Tensor]) -> list[str]:
    """Return the prefixes under which networks begin, the outermost where several begin within each other."""
    counts: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        counts.update(".".join(parts[:depth]) + "." for depth in range(1, min(_SEGMENTS, len(parts) - 1) + 1))
    counts[""] = len(state)
    tried = [prefix for prefix, count in counts.most_common(_MOST_TRIED) if count >= _SMALLEST]
    found: list[str] = []
    for prefix in sorted(tried, key=len):
        inside = any(prefix.startswith(outer) for outer in found)
        if not inside and is_known_network(under(state, prefix)):
            found.append(prefix)
    return found


def _role(path: str) -> str | None:
    """Return the branch that a path names in one of its parts, as in `teacher.backbone.` or `model_ema`."""
    for part in path.replace("/", ".").split("."):
        if part in _ROLES:
            return _ROLES[part]
        words = part.lower().split("_")
        for name in BRANCH_NAMES:
            if name in words and name != "base":
                return name
    return None
