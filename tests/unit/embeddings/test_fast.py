"""The faster copy of an encoder gives the same features: to rounding in float32, to a cosine of .999 in bfloat16."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.data.datasets import open_dataset
from repdiag.embeddings.cache import EmbeddingCache
from repdiag.embeddings.extract import extract
from repdiag.embeddings.fast import FastEncoder, fold_batch_norms
from repdiag.models.backbones import build_backbone

SIZE = 32


@pytest.fixture(scope="module", params=["resnet18", "mobilenet_v3_small", "mobilenetv3_small_050", "vit_tiny"])
def encoder(request):
    torch.manual_seed(0)
    backbone = build_backbone(request.param, image_size=SIZE)
    with torch.no_grad():
        for _ in range(2):  # batch norms whose statistics are not zero and one
            backbone.train()(torch.rand(16, 3, SIZE, SIZE))
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    return encoder_of(backbone)


def encoder_of(backbone):
    info = EncoderInfo(
        name="any",
        path="any.pt",
        sha256="0" * 64,
        family="test",
        backbone="any",
        branch="online",
        layer="pooling",
        feature_dim=1,
        image_size=SIZE,
        parameters=0,
    )
    return Encoder(backbone, info)


def batch_norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_float32_is_equal_to_rounding_and_has_no_batch_norm_left(encoder):
    images = torch.rand(4, 3, SIZE, SIZE)
    fast = FastEncoder(encoder, dtype=torch.float32)
    assert batch_norms(fast) == 0
    torch.testing.assert_close(fast(images), encoder(images), rtol=1e-4, atol=1e-4)


def test_bfloat16_keeps_the_directions(encoder):
    images = torch.rand(4, 3, SIZE, SIZE)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    found = FastEncoder(encoder, dtype=torch.bfloat16)(images)
    assert found.dtype == torch.float32
    assert F.cosine_similarity(found, encoder(images)).min() >= 0.999
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


class ReadTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.norm.running_mean.fill_(0.5)

    def forward(self, images):
        found = self.convolution(images)
        return (self.norm(found) * found).mean(dim=(2, 3))


def test_a_convolution_that_is_read_elsewhere_too_keeps_its_batch_norm():
    network = ReadTwice().eval()
    folded = fold_batch_norms(network, image_size=SIZE)
    assert batch_norms(folded) == 1
    images = torch.rand(2, 3, SIZE, SIZE)
    assert torch.equal(folded(images), network(images))


def test_a_batch_norm_that_runs_twice_stays():
    norm = nn.BatchNorm2d(3)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), norm, nn.Conv2d(3, 3, 1), norm, nn.Flatten()).eval()
    assert batch_norms(fold_batch_norms(network, image_size=8)) == 1


def test_extraction_says_which_arithmetic_and_never_mixes_them_in_the_cache(tmp_path):
    torch.manual_seed(0)
    encoder = encoder_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    digits, cache = open_dataset("digits", "val").balanced(2, seed=0), EmbeddingCache(tmp_path)
    exact = extract(encoder, digits, cache=cache)
    calls = []
    fast = extract(encoder, digits, cache=cache, fast=True, progress=lambda *_: calls.append(1))
    assert calls
    assert exact.provenance.dtype == "float32"
    assert fast.provenance.dtype in {"float32, fast", "bfloat16, fast"}
    assert F.cosine_similarity(fast.features, exact.features).min() >= 0.999
