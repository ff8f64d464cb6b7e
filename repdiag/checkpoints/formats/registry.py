"""Every format, most particular first: the first that recognises a file has it; other packages' come before ours."""

from __future__ import annotations

from repdiag.checkpoints.formats import (
    bingo,
    byol,
    deit,
    dino,
    dinov2,
    dinov3,
    efficientnet_pytorch,
    hugging_face,
    ijepa,
    lightly,
    lightly_train,
    mae,
    mm,
    moco,
    moco_v3,
    open_clip,
    redundancy_reduction,
    seed,
    simclr,
    simclr_v2,
    simsiam,
    solo_learn,
    ssl_small,
    sslight,
    stable_pretraining,
    state_dict,
    sup_contrast,
    swav,
    timm_hub,
    timm_train,
    torchvision_references,
    torchvision_segmentation,
    vissl,
)
from repdiag.checkpoints.formats.format import Format
from repdiag.core.entry_points import installed
from repdiag.core.errors import CheckpointError

OURS: tuple[Format, ...] = (
    timm_hub.FORMAT,
    hugging_face.FORMAT,
    lightly_train.FORMAT,
    stable_pretraining.FORMAT,
    solo_learn.FORMAT,
    lightly.FORMAT,
    vissl.FORMAT,
    sslight.FORMAT,
    mm.FORMAT,
    dinov3.FORMAT,
    dinov2.FORMAT,
    ijepa.FORMAT,
    dino.IBOT,
    dino.FORMAT,
    byol.FORMAT,
    moco_v3.FORMAT,
    bingo.FORMAT,
    ssl_small.FORMAT,
    moco.FORMAT,
    seed.FORMAT,
    simsiam.FORMAT,
    simclr.FORMAT,
    simclr.CONVERTED,
    simclr_v2.FORMAT,
    sup_contrast.FORMAT,
    redundancy_reduction.BARLOW_TWINS,
    redundancy_reduction.VICREG,
    mae.FORMAT,
    swav.FORMAT,
    open_clip.FORMAT,
    timm_train.FORMAT,
    deit.FORMAT,
    torchvision_segmentation.FORMAT,
    torchvision_references.FORMAT,
    efficientnet_pytorch.FORMAT,
    dino.IBOT_BACKBONE,
    dino.BACKBONE,
    state_dict.FORMAT,
)


def all_formats() -> tuple[Format, ...]:
    """Return the formats of installed packages (entry points `repdiag.checkpoints`, each a `Format`), then ours."""
    theirs = installed("repdiag.checkpoints")
    wrong = {name: type(form).__name__ for name, form in theirs.items() if not isinstance(form, Format)}
    if wrong:
        raise CheckpointError("an installed package adds an object that is not a Format", found=str(wrong))
    return (*theirs.values(), *OURS)
