"""DeiT (facebookresearch/deit) and its forks: `model` beside the arguments of a main.py with `input_size`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from repdiag.checkpoints.facts import recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import HALVES
from repdiag.checkpoints.formats.timm_settings import facts_in_name
from repdiag.checkpoints.reading.contents import Contents
from repdiag.checkpoints.reading.stand_ins import settings_of

_LARGEST_SIDE = 4096
_SQUASHED_FROM = 384


def _facts(file: Contents) -> Facts:
    """Return what the model's name stands for, and the grid of patches that the size of the images gives."""
    facts = facts_in_name(file.setting("args", "model"), Facts(resample="bicubic", norm_eps=1e-6))
    stem, side = (file.state("model") or {}).get("patch_embed.proj.weight"), _side(file)
    if stem is None or stem.ndim != 4 or not isinstance(side, int) or not 0 < side <= _LARGEST_SIDE:
        return facts
    patches = side // stem.shape[-1]
    position = (file.state("model") or {}).get("pos_embed")
    if position is None or position.ndim != 3 or not patches**2 <= position.shape[1] <= patches**2 + 2:
        return facts  # the network was made for other images, and resizes its embeddings
    return facts.with_origin(recorded("args.input_size"), grid=(patches, patches))


def _preprocessing(file: Contents) -> Preprocessing:
    """Return the evaluation's input: resized so that the crop is 224 of 256, bicubic; its forks differ for large sides.

    MAE's fine-tuning (`global_pool` in its arguments) crops nothing above 224 pixels, ConvNeXt's and BEiT's
    (`crop_pct`) squash images of 384 and more; BEiT normalises by halves unless told otherwise.
    """
    side = file.setting("args", "input_size")
    if not isinstance(side, int) or not 0 < side <= _LARGEST_SIDE:
        return Preprocessing(usual_size=224, interpolation="bicubic")
    arguments = settings_of(file.setting("args"))
    part, squash = _framing(arguments, side)
    found = Preprocessing(
        image_size=side,
        resize=None if squash else int(side / part),
        squash=squash,
        interpolation="bicubic",
        origins={"image_size": recorded("args.input_size")},
    )
    if arguments.get("imagenet_default_mean_and_std") is False:
        said = dict.fromkeys(("mean", "std"), recorded("args.imagenet_default_mean_and_std"))
        found = replace(found, mean=HALVES.mean, std=HALVES.std, origins={**found.origins, **said})
    return found


def _framing(arguments: Mapping[str, Any], side: int) -> tuple[float, bool]:
    """Return the part of the shorter side that the crop takes, and whether both sides are resized instead."""
    if "crop_pct" in arguments and side >= _SQUASHED_FROM:
        return 1.0, True
    for name in ("eval_crop_ratio", "crop_pct"):  # of DeiT III; of ConvNeXt
        ratio = arguments.get(name)
        if isinstance(ratio, float) and 0.5 <= ratio <= 1.0:
            return ratio, False
    return (1.0 if "global_pool" in arguments and side > 224 else 0.875), False


FORMAT = Format(
    name="deit",
    reads=(
        "args: model, input_size, eval_crop_ratio, crop_pct, global_pool, imagenet_default_mean_and_std",
    ),
    title="DeiT and scripts made after its own",
    recognise=lambda file: (
        file.has_keys("model", "args") and bool(file.state("model")) and isinstance(_side(file), int)
        and not any("decoder_" in name for name in file.state("model") or {})
    ),
    branches=(Branch(name="online", place="model"), Branch(name="ema", place="model_ema")),
    preprocessing=_preprocessing,
    facts=_facts,
    arch=lambda file: file.setting("args", "model"),
    of_libraries=True,
)  # fmt: skip


def _side(file: Contents) -> object:
    return file.setting("args", "input_size")
