"""Checkpoints of timm's train.py: the weights and, in `state_dict_ema`, their average."""

from repdiag.checkpoints.formats.format import Branch, Facts, Format

FORMAT = Format(
    name="timm",
    title="timm's train.py",
    recognise=lambda file: file.has_keys("arch", "version", "state_dict") or file.has_keys("state_dict_ema"),
    branches=(Branch(name="online"), Branch(name="ema", place="state_dict_ema")),
    facts=Facts(resample="antialiased"),
    arch=lambda file: file.setting("arch") or file.setting("args", "model"),
    notes=("timm itself would take the average (--branch ema) where a file has one",),
)
