"""A state dict of any network under any wrapper: the last resort, for files that no family claims."""

from __future__ import annotations

from dataclasses import replace

from repdiag.checkpoints.discover import discovered
from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

# Where networks of the user's own code are looked for, whose names nothing here knows.
_PLACES = ("state_dict", "model_state_dict", "model", "net", "network", "backbone", "encoder", "weights", "")
_AVERAGED = ("state_dict_ema", "model_ema", "ema", "ema_state_dict")
_WRAPPERS = ("", "model.", "backbone.", "encoder.", "net.", "network.", "model.backbone.", "model.encoder.")
_BESIDE = (
    *("projection_head.layers.", "projection_head.", "projector.", "projection.", "proj_head.", "contrastive_head."),
    *("contrast_head.", "mlp_head.", "head.mlp.", "head."),
)


def _branches(file: Contents) -> tuple[Branch, ...]:
    found = tuple(replace(branch, projector=_projectors(branch.prefix)) for branch in discovered(file))
    if len(found) > 1:
        return tuple(sorted(found, key=lambda branch: branch.name == "ema"))
    name = found[0].name if found else "online"
    plain = tuple(
        Branch(name=name, place=place, prefix=prefix)
        for place in _PLACES
        if file.state(place)
        for prefix in _WRAPPERS
        if file.has(place, prefix)
    )
    averaged = () if found else tuple(Branch(name="ema", place=place) for place in _AVERAGED if file.state(place))
    return (*found, *plain, *averaged)


def _projectors(prefix: str) -> tuple[str, ...]:
    """Return where a projection head may be: in the place of the classifier, or beside the encoder."""
    outer = prefix.rstrip(".").rpartition(".")[0]
    beside = tuple(f"{outer}.{name}" if outer else name for name in _BESIDE) if prefix else ()
    return ("./fc.", "./projection_head.", "./head.", *beside)


def _needs_a_word(file: Contents) -> bool:
    """Say whether there are several networks besides averages, so that only the user knows which one is meant."""
    return sum(branch.name != "ema" for branch in discovered(file)) > 1


FORMAT = Format(
    name="state_dict",
    title="plain state dict",
    recognise=lambda file: bool(_branches(file)),
    branches=_branches,
    asks=_needs_a_word,
    least_linear=2,
    of_libraries=True,
    preprocessing=Preprocessing(origin=Origin("assumed", "ImageNet's way")),
    arch=lambda file: file.setting("arch") or file.setting("args", "arch") or file.setting("args", "model"),
)
