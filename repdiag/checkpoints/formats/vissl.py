"""VISSL (facebookresearch/vissl): the trunk deep inside `classy_state_dict`; its settings are in a YAML beside it."""

from repdiag.checkpoints.formats.format import Branch, Format

_TRUNK = "classy_state_dict/base_model/model/trunk"

FORMAT = Format(
    name="vissl",
    title="VISSL",
    recognise=lambda file: file.has_keys("classy_state_dict"),
    branches=(
        Branch(name="online", place=_TRUNK, prefix="_feature_blocks."),
        Branch(name="online", place=_TRUNK, prefix="base_model._feature_blocks."),
        Branch(name="online", place=_TRUNK),
        Branch(name="momentum", place="classy_state_dict/loss/moco_encoder", prefix="trunk._feature_blocks."),
        Branch(name="momentum", place="classy_state_dict/loss", prefix="moco_encoder.trunk._feature_blocks."),
        Branch(name="teacher", place="classy_state_dict/loss/teacher", prefix="trunk._feature_blocks."),
    ),
    notes=("VISSL records its settings in train_config.yaml only",),
)
