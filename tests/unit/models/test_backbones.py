"""Every family of backbones builds, gives [B, D], and keeps the key names of its origin."""

import pytest
import torch
from torch import nn

from repdiag.core.errors import ConfigError, UsageError
from repdiag.models.backbones import build_backbone, check_takes, known_backbones
from repdiag.models.cifar_resnet import CifarResNet

SMALL = [("resnet20", 64), ("resnet18", 512), ("mobilenet_v2", 1280), ("mobilenet_v3_small", 1024), ("vit_tiny", 192)]
LARGER = [
    ("resnet32", 64),
    ("resnet44", 64),
    ("resnet56", 64),
    ("resnet110", 64),
    ("resnet34", 512),
    ("resnet50", 2048),
    ("mobilenet_v3_large", 1280),
    ("efficientnet_b0", 1280),
    ("efficientnet_b1", 1280),
    ("vit_small", 384),
    ("resnet10t", 512),
]


def check(name, dim, stem):
    backbone = build_backbone(name, stem=stem, image_size=32)
    assert backbone.feature_dim == dim
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, dim)


@pytest.mark.parametrize(("name", "dim"), SMALL)
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_small_backbones(name, dim, stem):
    check(name, dim, stem)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dim"), LARGER)
def test_larger_backbones(name, dim):
    check(name, dim, "cifar")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dim"), [("resnet101", 2048), ("resnet152", 2048)])
def test_deep_resnets(name, dim):
    check(name, dim, "imagenet")


@pytest.mark.parametrize(("name", "factor"), [("resnet18", 4), ("mobilenet_v2", 2)])
def test_the_cifar_stem_keeps_resolution(name, factor):
    """ResNet's stem reduces by 4 (a stride and a max-pooling), the mobile networks' by 2."""
    sides = {}
    for stem in ("imagenet", "cifar"):
        backbone = build_backbone(name, stem=stem, image_size=64)
        last = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)][-1]
        last.register_forward_hook(lambda _, __, out, stem=stem: sides.update({stem: out.shape[-1]}))
        backbone(torch.zeros(1, 3, 64, 64))
    assert sides["cifar"] == factor * sides["imagenet"]


@pytest.mark.parametrize(("stem", "size"), [("imagenet", 30), ("cifar", 30), ("cifar", 32)])
def test_torchvisions_transformers_take_images_of_any_size(stem, size):
    backbone = build_backbone("vit_b_16", stem=stem, image_size=size)
    patch = 16 if stem == "imagenet" else size // 8
    assert backbone.trunk.conv_proj.kernel_size == (patch, patch)
    for side in (size, 18):
        assert backbone(torch.zeros(1, 3, side, side)).shape == (1, 768)


def test_torchvisions_transformer_computes_at_its_own_size_what_it_always_did():
    from torchvision.models import VisionTransformer

    from repdiag.models.torchvision_vit import any_size

    torch.manual_seed(0)
    theirs = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=16, num_classes=5).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = theirs(images)
    ours = any_size(theirs, image_size=32)
    assert torch.equal(ours(images), expected)
    assert ours(torch.randn(2, 3, 20, 27)).shape == (2, 5)


def test_googlenet_answers_with_its_features_alone_in_training_too():
    backbone = build_backbone("googlenet", image_size=32).train()
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 1024)
    assert not any("aux" in name for name in backbone.state_dict())


def test_a_network_of_a_fixed_size_is_built_for_the_size_or_refused(caplog):
    mixer = build_backbone("mixer_s32_224", image_size=64)
    assert mixer(torch.zeros(1, 3, 64, 64)).shape == (1, 512)
    with pytest.raises(ConfigError, match="images of 40 px") as caught:
        check_takes(mixer, [40])
    assert "Input height" in str(caught.value)
    with pytest.raises(ConfigError, match="images of 8 px"):
        build_backbone("inception_v3", image_size=8)
    assert not caplog.messages
    build_backbone("resnet18", image_size=32, drop_path=0.1)
    assert "backbone.drop_path=0.1 has no effect" in caplog.text


def test_keys_are_those_of_the_origin_alone_and_inside_another_module():
    backbone = build_backbone("resnet20")
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight"} < set(backbone.state_dict())
    holder = nn.ModuleDict({"encoder": backbone})
    assert "encoder.conv1.weight" in holder.state_dict()
    other = nn.ModuleDict({"encoder": build_backbone("resnet20")})
    other.load_state_dict(holder.state_dict(), strict=True)
    assert torch.equal(other["encoder"].trunk.conv1.weight, backbone.trunk.conv1.weight)


def test_a_missing_key_is_still_an_error():
    backbone = build_backbone("resnet20")
    state = backbone.state_dict()
    del state["conv1.weight"]
    with pytest.raises(RuntimeError, match=r"conv1\.weight"):
        backbone.load_state_dict(state)


def test_cifar_resnet_has_the_published_number_of_parameters():
    """He et al. 2016, table 6: 0.27 M at depth 20 and 0.85 M at depth 56; the shortcuts have none."""
    counts = [sum(weight.numel() for weight in CifarResNet(depth).parameters()) for depth in (20, 56)]
    assert [round(count / 1e6, 2) for count in counts] == [0.27, 0.85]
    assert [name for name, _ in CifarResNet(20).named_children()][-1] == "linear"


def test_mobilenet_v3_is_read_after_the_hidden_layer_of_its_classifier():
    backbone = build_backbone("mobilenet_v3_small", image_size=32)
    assert backbone.layer == "classifier.1"
    assert isinstance(backbone.trunk.classifier[-1], nn.Hardswish)


def test_own_file_and_its_errors(tmp_path):
    source = "from torch import nn\ndef tiny():\n    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    (tmp_path / "mine.py").write_text(source + "def wrong():\n    return nn.Identity()\n")
    assert build_backbone(f"{tmp_path}/mine.py:tiny").feature_dim == 3
    with pytest.raises(UsageError, match="tiny"):
        build_backbone(f"{tmp_path}/mine.py:tinny")
    with pytest.raises(ConfigError, match=r"features \[B, D\]"):
        build_backbone(f"{tmp_path}/mine.py:wrong")
    with pytest.raises(ConfigError, match="does not exist"):
        build_backbone(f"{tmp_path}/nothing.py:tiny")
    (tmp_path / "broken.py").write_text("def sized(size):\n    pass\ndef late():\n    return 1 / 0\n")
    (tmp_path / "syntax.py").write_text("def build(:\n")
    cases = {"broken.py:sized": "missing 1 required", "broken.py:late": "line 4", "syntax.py:build": "SyntaxError"}
    for function, said in cases.items():
        with pytest.raises(ConfigError, match=said):
            build_backbone(f"{tmp_path}/{function}")


def test_a_typo_gets_the_nearest_names():
    assert {"resnet20", "resnet50", "vit_tiny", "mobilenet_v3_small"} < set(known_backbones())
    with pytest.raises(UsageError, match="mobilenet_v2"):
        build_backbone("mobilenet_v22")
