"""DeiT (facebookresearch/deit) and its forks: `model` beside the arguments of a main.py with `input_size`."""

from __future__ import annotations

from repdiag.checkpoints.facts import recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.timm_settings import facts_in_name
from repdiag.checkpoints.reading.contents import Contents

_LARGEST_SIDE = 4096


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
    """Return the evaluation's input: resized so that the crop is 224 of 256, bicubic."""
    side = file.setting("args", "input_size")
    if not isinstance(side, int) or not 0 < side <= _LARGEST_SIDE:
        return Preprocessing(usual_size=224, interpolation="bicubic")
    ratio = file.setting("args", "eval_crop_ratio")  # of DeiT III
    part = ratio if isinstance(ratio, float) and 0.5 <= ratio <= 1.0 else 0.875
    return Preprocessing(
        image_size=side,
        resize=int(side / part),
        interpolation="bicubic",
        origins={"image_size": recorded("args.input_size")},
    )


FORMAT = Format(
    name="deit",
    reads=(
        "args: model, input_size, eval_crop_ratio",
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
