"""`Contents`: the state dicts of a checkpoint file by place, with the wrappers of their names removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from torch import Tensor

from repdiag.checkpoints.reading.pickled_modules import is_module, state_of_module
from repdiag.checkpoints.reading.safe_load import Payload
from repdiag.checkpoints.reading.stand_ins import setting, settings_of

State = dict[str, Tensor]
WRAPPERS = ("module.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.")
# Names that no module of a network has: of wrappers around single blocks, wherever they stand.
_INNER_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_forward_module.")

_DEEPEST = 3  # levels at which tensors are looked for


class Contents:
    """A payload as formats look at it: `state("state_dict")` and `setting("args", "arch")`."""

    def __init__(self, payload: Payload) -> None:
        self.payload = payload
        self._states: dict[str, State | None] = {}
        self._opens_modules = not any(map(_has_weights, _mappings(payload.tree, _DEEPEST)))

    def state(self, place: str) -> State | None:
        """Return the tensors at a place such as "state_dict" or "a/b" ("" is the file itself), names unwrapped."""
        if place not in self._states:
            node = _node(self.payload.tree, place)
            self._states[place] = _tensors(self._opened(node))
        return self._states[place]

    def has(self, place: str, *prefixes: str) -> bool:
        """Say whether the state dict at a place exists and has names that start with each of the prefixes."""
        state = self.state(place)
        return state is not None and all(any(name.startswith(prefix) for name in state) for prefix in prefixes)

    def has_keys(self, *keys: str) -> bool:
        """Say whether the file's top level has all these keys."""
        return isinstance(self.payload.tree, Mapping) and all(key in self.payload.tree for key in keys)

    def setting(self, *names: str) -> Any:
        """Return a value that the file records, or None."""
        return setting(self.payload.tree, *names)

    def sidecar(self, file: str, *names: str) -> Any:
        """Return a value of a JSON file beside the weights, or None."""
        return setting(self.payload.sidecars.get(file), *names)

    def places(self) -> tuple[str, ...]:
        """Return every place with at least one tensor, at most three levels down."""
        return tuple(self._places(self.payload.tree, "", _DEEPEST))

    @property
    def modules(self) -> tuple[str, ...]:
        """The classes of the pickled modules that stand for state dicts, where the file has no state dict."""
        nodes = [_node(self.payload.tree, place) for place in self.places()]
        return tuple(dict.fromkeys(node.name for node in nodes if is_module(node)))

    def _opened(self, node: Any) -> Any:
        return state_of_module(node) if self._opens_modules and is_module(node) else node

    def _places(self, node: Any, place: str, depth: int) -> list[str]:
        node = self._opened(node)
        if not isinstance(node, Mapping):
            return []
        here = [place] if _tensors(node) else []
        if depth:
            for name, value in node.items():
                here += self._places(value, f"{place}/{name}".strip("/"), depth - 1)
        return here

    @property
    def file_name(self) -> str:
        """The file's name, in lower case, for the few formats that record facts nowhere else."""
        return PurePath(self.payload.path).name.lower()


def unwrap(name: str) -> str:
    """Remove the names of wrapping modules from the start, and of those that can be nothing else from anywhere."""
    for wrapper in _INNER_WRAPPERS:
        if wrapper in name:
            name = name.replace(f".{wrapper}", ".").removeprefix(wrapper)
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name


def under(state: Mapping[str, Tensor], prefix: str) -> State:
    """Return the tensors whose names start with a prefix, without it and without wrappers after it."""
    return {unwrap(name.removeprefix(prefix)): value for name, value in state.items() if name.startswith(prefix)}


def _entry(node: Any, part: str) -> Any:
    if isinstance(node, list | tuple):  # old VISSL files list their heads
        return node[int(part)] if part.isdigit() and int(part) < len(node) else None
    return settings_of(node).get(part)


def _tensors(node: Any) -> State | None:
    if not isinstance(node, Mapping):
        return None
    named = {str(name): value for name, value in node.items() if isinstance(value, Tensor)}
    found = {unwrap(name): value for name, value in named.items()}
    return (found if len(found) == len(named) else named) or None  # two that would get one name keep their own


def _mappings(node: Any, depth: int) -> Iterator[Mapping[Any, Any]]:
    if isinstance(node, Mapping):
        yield node
        for value in node.values() if depth else ():
            yield from _mappings(value, depth - 1)


def _has_weights(node: Mapping[Any, Any]) -> bool:
    """Say whether a mapping is a state dict, and not an optimizer's."""
    return any(isinstance(value, Tensor) and str(name).endswith("weight") for name, value in node.items())


def _node(tree: Any, place: str) -> Any:
    for part in filter(None, place.split("/")):
        tree = _entry(tree, part)
    return tree
