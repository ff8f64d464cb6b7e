"""I-JEPA (facebookresearch/ijepa): encoder, predictor and target encoder; the target encoder is what is evaluated."""

from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing

FORMAT = Format(
    name="ijepa",
    title="I-JEPA",
    recognise=lambda file: file.has_keys("encoder", "predictor", "target_encoder"),
    branches=(Branch(name="target", place="target_encoder"), Branch(name="online", place="encoder")),
    preprocessing=Preprocessing(usual_size=224, resize=256, interpolation="bicubic"),
    facts=Facts(
        heads={192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1664: 16},
        pool="mean", activation="gelu", norm_eps=1e-6, resample="bicubic",
    ),
    training=lambda file: {"method": "ijepa", "batch_size": file.setting("batch_size")},
)  # fmt: skip
