"""Networks under the names of their authors' own code, where timm or torchvision have them under others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from repdiag.checkpoints.architectures.convnexts import convnext_candidates
from repdiag.checkpoints.architectures.rotary_transformers import dinov3_candidates
from repdiag.checkpoints.architectures.swins import swin_candidates
from repdiag.checkpoints.keymaps.hugging_face import with_flat_grn
from repdiag.checkpoints.keymaps.keymap import Keymap, State
from repdiag.checkpoints.keymaps.renaming import all_names, any_name, by_patterns
from repdiag.core.errors import CheckpointError

_CONVNEXT = by_patterns(
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv([12])\.", r".mlp.fc\1."),
    (r"\.grn\.", ".mlp.grn."),
    (r"^norm\.", "head.norm."),
    (r"^head\.(weight|bias)$", r"head.fc.\1"),
)
_SWIN = by_patterns(
    (r"^layers\.(\d+)\.downsample\.", lambda found: f"layers.{int(found[1]) + 1}.downsample."),
    (r"^head\.(weight|bias)$", r"head.fc.\1"),
)
_DINOV3 = by_patterns(
    (r"^storage_tokens$", "reg_token"),
    (r"\.ls([12])\.gamma$", r".gamma_\1"),
    (r"\.mlp\.w1\.", ".mlp.fc1_g."),
    (r"\.mlp\.w2\.", ".mlp.fc1_x."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)
_LEFT = ("rope_embed.", "local_cls_norm.", "projectors.")


def _dinov3(state: Mapping[str, Tensor]) -> State:
    """Rename, and take the biases of queries and values out of the one that its mask makes zero for keys."""
    renamed = _DINOV3(state)
    found: State = {}
    for name, value in renamed.items():
        if name.startswith(_LEFT) or name.endswith("bias_mask"):
            continue
        if not name.endswith("attn.qkv.bias"):
            found[name] = value
            continue
        query, key, last = value.chunk(3)
        mask = renamed.get(f"{name}_mask")
        if mask is None and bool(key.any()):
            raise CheckpointError("keys have a bias, which DINOv3 has not", found=name[:80])
        if mask is not None:
            _, masked, _ = mask.chunk(3)
            if bool((key * torch.nan_to_num(masked.float())).any()):
                raise CheckpointError("the mask leaves keys a bias, which DINOv3 has not", found=name[:80])
        owner = name.removesuffix("qkv.bias")
        found |= {f"{owner}q_bias": query, f"{owner}v_bias": last}
    return found


_REPVGG = by_patterns(
    (r"^stage0\.", "stem."),
    (r"^stage([1-4])\.", lambda found: f"stages.{int(found[1]) - 1}."),
    (r"\.rbr_dense\.", ".conv_kxk."),
    (r"\.rbr_1x1\.", ".conv_1x1."),
    (r"\.rbr_identity\.", ".identity."),
    (r"\.se\.(down|up)\.", lambda found: f".attn.fc{1 if found[1] == 'down' else 2}."),
    (r"^linear\.", "head.fc."),
)
CONVNEXT = Keymap(
    name="ConvNeXt of its authors",
    applies=lambda state: all_names(state, [r"downsample_layers\.0\.0\.", r"stages\.0\.0\.dwconv\."]),
    convert=lambda state: with_flat_grn(_CONVNEXT(state)),
    candidates=convnext_candidates,
)
FLATTENED = Keymap(
    name="timm's networks of maps (`features_only`), the stages as attributes",
    applies=lambda state: all_names(state, [r"stem_0\.", r"stages_0\.(downsample\.|blocks\.0\.conv_dw\.)"]),
    convert=by_patterns((r"^(stem|stages)_(\d)\.", r"\1.\2.")),
    candidates=convnext_candidates,
)
SWIN = Keymap(
    name="Swin of its authors",
    applies=lambda state: (
        all_names(
            state, [r"layers\.0\.downsample\.reduction\.", r"layers\.0\.blocks\.0\.attn\.relative_position_bias_table"]
        )
        and not any_name(state, r"layers\.0\.blocks\.0\.attn\.(cpb_mlp|logit_scale)")
    ),
    convert=lambda state: {
        name: value
        for name, value in _SWIN(state).items()
        if not name.endswith(("relative_position_index", "attn_mask"))
    },
    candidates=swin_candidates,
)
DINOV3 = Keymap(
    name="DINOv3",
    applies=lambda state: "storage_tokens" in state or any_name(state, r"rope_embed\.periods"),
    convert=_dinov3,
    candidates=dinov3_candidates,
    defaults={"norm_eps": 1e-5, "pool": "token"},
)
REPVGG = Keymap(
    name="RepVGG of its authors",
    applies=lambda state: all_names(state, [r"stage0\.rbr_dense\.conv\.", r"stage1\.0\.rbr_1x1\.bn\."]),
    convert=_REPVGG,
    facts={"arch_like": "timm:repvgg"},
)
