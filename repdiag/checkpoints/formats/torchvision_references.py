"""Checkpoints of torchvision's reference scripts: `model` beside a scheduler, sometimes `model_ema`."""

from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing

FORMAT = Format(
    name="torchvision",
    title="torchvision's reference scripts",
    recognise=lambda file: file.has_keys("model", "lr_scheduler", "args") and bool(file.state("model")),
    branches=(Branch(name="online", place="model"), Branch(name="ema", place="model_ema")),
    heads=("fc.", "head.", "heads.", "classifier.", "n_averaged"),
    preprocessing=Preprocessing(image_size=224, resize=256),
    arch=lambda file: file.setting("args", "model"),
)
