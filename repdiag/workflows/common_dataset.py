"""The images that checkpoints were trained on, where all of them name the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repdiag.core.errors import RepdiagError, UsageError

if TYPE_CHECKING:
    from repdiag.workflows.targets import Target


def common_dataset(targets: Sequence[Target]) -> str:
    """Return the dataset that the checkpoints name, when they all name one and the same."""
    from repdiag.checkpoints.load import load_with_options

    named: dict[str, str] = {}
    for target in targets:
        try:
            spec = load_with_options(target.path, target.read_options).info.training.get("data")
        except RepdiagError:
            continue  # reported when its turn comes
        if spec is not None:
            named[target.name] = str(spec)
    if len(set(named.values())) > 1:
        found = ", ".join(f"{name}: {spec}" for name, spec in named.items())
        raise UsageError("the checkpoints were trained on different datasets", found=found, hint="choose with --data")
    if not named:
        hint = "choose images with --data, such as --data imagefolder:PATH; `repdiag datasets` lists datasets"
        raise UsageError("the checkpoints do not say which images they were trained on", hint=hint)
    return next(iter(named.values()))
