"""MoCo v3 (facebookresearch/moco-v3): its ViT-S has 12 heads where all others have 6; `vit_conv_*` too."""

from repdiag.checkpoints.formats.format import Branch, Facts, Format

_HEADS = ("./head.", "./fc.")

FORMAT = Format(
    name="moco_v3",
    title="MoCo v3",
    recognise=lambda file: file.has("state_dict", "base_encoder.", "momentum_encoder."),
    branches=(
        Branch(name="base", prefix="base_encoder.", projector=_HEADS),
        Branch(name="momentum", prefix="momentum_encoder.", projector=_HEADS),
    ),
    known=("predictor.",),
    facts=Facts(heads={384: 12, 768: 12, 1024: 16, 1280: 16}, resample="bicubic", pool="token", activation="gelu"),
)
