"""Networks of MONAI under the names of timm's; its EfficientNet and DenseNet are beside the others of their kind."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from repdiag.checkpoints.keymaps.keymap import Keymap, State
from repdiag.checkpoints.keymaps.renaming import all_names, by_patterns

_CROSS = re.compile(r"blocks\.\d+\.(norm_cross_attn|cross_attn)\.")  # built in any case, and not used by images alone
_VIT = by_patterns(
    (r"^patch_embedding\.position_embeddings$", "pos_embed"),
    (r"^patch_embedding\.patch_embeddings\.", "patch_embed.proj."),
    (r"\.mlp\.linear([12])\.", r".mlp.fc\1."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"^classification_head\.", "head."),
)
_SENET = by_patterns(
    (r"\.conv([123])\.conv\.", r".conv\1."),
    (r"\.conv([123])\.adn\.N\.", r".bn\1."),
    (r"\.project\.conv\.", ".downsample.0."),
    (r"\.project\.adn\.N\.", ".downsample.1."),
    (r"\.se_layer\.fc\.0\.", ".se_module.fc1."),
    (r"\.se_layer\.fc\.2\.", ".se_module.fc2."),
)


def _senet(state: Mapping[str, Tensor]) -> State:
    """Rename, and make convolutions of the linear layers that weigh channels, as timm has them."""
    return {
        name: value[:, :, None, None] if ".se_module." in name and value.ndim == 2 else value
        for name, value in _SENET(state).items()
    }


VIT = Keymap(
    name="MONAI's vision transformer",
    applies=lambda state: all_names(
        state, [r"patch_embedding\.patch_embeddings\.", r"blocks\.0\.attn\.(qkv|out_proj)\."]
    ),
    convert=lambda state: _VIT({name: state[name] for name in state if not _CROSS.match(name)}),
    defaults={"norm_eps": 1e-5},
)
SENET = Keymap(
    name="MONAI's SENet",
    applies=lambda state: all_names(state, [r"layer1\.0\.se_layer\.fc\.0\.", r"layer1\.0\.conv1\.adn\.N\."]),
    convert=_senet,
    facts={"arch_like": "timm:legacy_se"},
)
