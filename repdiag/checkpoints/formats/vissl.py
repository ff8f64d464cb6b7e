"""VISSL (facebookresearch/vissl): the trunk deep inside `classy_state_dict`; its settings are in a YAML beside it.

The momentum encoder of MoCo and the teacher of DINO and iBOT are whole models inside the state of the loss.
"""

from __future__ import annotations

from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.reading.contents import Contents
from repdiag.core.errors import CheckpointError

_MODEL, _LOSS = "classy_state_dict/base_model/model", "classy_state_dict/loss"
_TRUNKS = ("_feature_blocks.", "base_model._feature_blocks.", "base_model.", "")
_HEADS = ("0.projection_head.", "0.mlp.", "")
_TWINS = {"momentum": ("moco_encoder.",), "teacher": ("momentum_teacher.", "teacher.")}
_PARTS = {
    "shard_list": "it lists the shards of a model, and each shard holds flattened pieces of the layers",
    "shard": "it is one shard of a model, flattened pieces of its layers",
    "slice_list": "it lists the files that hold the layers",
    "slice": "it is one layer of a model",
}


def _recognise(file: Contents) -> bool:
    kind = file.setting("type")
    if isinstance(kind, str) and kind in _PARTS and (file.has_keys("classy_state_dict") or file.has_keys("shards")):
        raise CheckpointError(
            f"{file.payload.path} is a {kind} of VISSL, not a whole checkpoint: {_PARTS[kind]}",
            hint="join the parts with VISSL's sharded_to_consolidated_checkpoint and give that file",
        )
    return file.has_keys("classy_state_dict")


def _twins(name: str, owner: str) -> tuple[Branch, ...]:
    heads = tuple(f"{owner}heads.{head}" for head in _HEADS)
    return tuple(Branch(name=name, place=_LOSS, prefix=f"{owner}trunk.{trunk}", projector=heads) for trunk in _TRUNKS)


_TRUNK_HEADS = (*(f"{_MODEL}/heads:{head}" for head in _HEADS), f"{_MODEL}/heads/0:clf.")

FORMAT = Format(
    name="vissl",
    title="VISSL",
    recognise=_recognise,
    branches=(
        *(Branch(name="online", place=f"{_MODEL}/trunk", prefix=inner, projector=_TRUNK_HEADS) for inner in _TRUNKS),
        *(
            branch
            for name, owners in _TWINS.items()
            for owner in owners
            for wrapper in ("", "module.")
            for branch in _twins(name, owner + wrapper)
        ),
    ),
    known=("queue", "center", "feature_pool_ops.", "moco_encoder.", "momentum_teacher.", "teacher."),
    heads=("patch_masking.", "feature_pool_ops."),
    notes=("VISSL records its settings in train_config.yaml only",),
)
