"""DenseNets under other names than those that torchvision's modules have now."""

from __future__ import annotations

from functools import partial

from repdiag.checkpoints.architectures.densenets import densenet_candidates
from repdiag.checkpoints.keymaps.keymap import Keymap
from repdiag.checkpoints.keymaps.renaming import all_names, any_name, by_patterns

_OF_KUANGLIU = by_patterns(
    (r"^conv1\.", "features.conv0."),
    (r"^dense(\d)\.(\d+)\.", lambda found: f"features.denseblock{found[1]}.denselayer{int(found[2]) + 1}."),
    (r"(denselayer\d+)\.bn([12])\.", r"\1.norm\2."),
    (r"^trans(\d)\.bn\.", r"features.transition\1.norm."),
    (r"^trans(\d)\.conv\.", r"features.transition\1.conv."),
    (r"^bn\.", "features.norm5."),
)


DOTTED = Keymap(
    name="DenseNet as torchvision published it (norm.1, conv.1)",
    applies=lambda state: any_name(state, r"features\.denseblock1\.denselayer1\.norm\.1\."),
    convert=by_patterns(
        (r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),
    ),
    facts={"arch_like": "torchvision:densenet"},
)
SMALL = Keymap(
    name="DenseNet for small images (gpleiss/efficient_densenet_pytorch)",
    applies=lambda state: all_names(state, [r"features\.conv0\.weight", r"features\.norm_final\."]),
    convert=by_patterns(
        (r"^features\.norm_final\.", "features.norm5."),
    ),
    candidates=densenet_candidates,
)
KUANGLIU = Keymap(
    name="CIFAR DenseNet with `dense1` and `trans1` (kuangliu/pytorch-cifar)",
    applies=lambda state: all_names(state, [r"dense1\.0\.bn1\.", r"dense1\.0\.conv2\.weight", r"trans1\.conv\."]),
    convert=_OF_KUANGLIU,
    candidates=partial(densenet_candidates, newest_first=True),
)
