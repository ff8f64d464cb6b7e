"""MAE (facebookresearch/mae): a plain vision transformer with a decoder that is left; the class token is evaluated."""

from repdiag.checkpoints.facts import recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

_PLACES = ("model", "")
_HEADS = {768: 12, 1024: 16, 1280: 16}


def _facts(file: Contents) -> Facts:
    facts = Facts(heads=_HEADS, resample="bicubic", pool="token", activation="gelu", norm_eps=1e-6)
    if str(file.setting("args", "model")).startswith("mae_vit_tiny"):
        return facts.with_origin(recorded("args.model: MAE-Lite's tiny, of 12 heads"), heads={192: 12, **_HEADS})
    return facts


FORMAT = Format(
    name="mae",
    reads=("args: model",),
    title="MAE",
    recognise=lambda file: any(file.has(place, "mask_token", "decoder_embed.", "blocks.0.") for place in _PLACES),
    branches=tuple(Branch(name="online", place=place) for place in _PLACES),
    heads=("mask_token", "decoder_"),
    preprocessing=Preprocessing(interpolation="bicubic"),
    facts=_facts,
    arch=lambda file: file.setting("args", "model"),
    training=lambda file: {
        "method": "mae",
        "epochs": file.setting("args", "epochs"),
        "mask_ratio": file.setting("args", "mask_ratio"),
    },
)
