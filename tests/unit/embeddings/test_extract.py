"""Extraction: what it depends on, and what it does not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.untrained import untrained_copy
from repdiag.config.views import EvaluationSettings
from repdiag.core.errors import CheckpointError
from repdiag.data.datasets import open_dataset
from repdiag.embeddings.cache import EmbeddingCache
from repdiag.embeddings.extract import encode, extract, weights_digest
from repdiag.embeddings.normalization import Normalization


def make_encoder(*, projector: bool = True, name: str = "tiny", seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    backbone = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    info = EncoderInfo(
        name=name,
        path=f"{name}.pt",
        sha256="0" * 64,
        family="test",
        backbone="tiny",
        branch="online",
        layer="pooling",
        feature_dim=32,
        projection_dim=4 if projector else None,
        image_size=16,
        parameters=sum(p.numel() for p in backbone.parameters()),
    )
    return Encoder(backbone, info, nn.Linear(32, 4) if projector else None)


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits", "val").balanced(5, seed=0)


def test_every_field_is_there_and_aligned(digits):
    found = extract(make_encoder(), digits)
    assert found.features.shape == (50, 32)
    assert found.views.shape == (2, 50, 32)
    assert found.projections.shape == (50, 4)
    assert found.view_projections.shape == (2, 50, 4)
    assert found.row_ids.tolist() == digits.row_ids.tolist()
    assert found.labels.tolist() == digits.labels.tolist()
    assert found.provenance.dataset_fingerprint == digits.fingerprint


def test_a_cpu_encodes_large_images_a_few_at_a_time():
    """Layers of a whole batch of 224 px would not fit memory that is used again: the system maps it anew each time."""
    encoder, seen = make_encoder(), []
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    images = torch.rand(13, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    normal = Normalization((0.5,) * 3, (0.2,) * 3)
    encoder.eval()
    with torch.inference_mode():
        features, projections = encode(encoder, images, device=torch.device("cpu"), normal=normal)
        whole = encoder(normal.apply(images))
        torch.testing.assert_close(features, whole, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(projections, encoder.project(whole), rtol=1e-5, atol=1e-6)
    assert seen == [5, 5, 3, 13]


def test_an_encoder_without_projector_gives_features_only(digits):
    found = extract(make_encoder(projector=False), digits)
    assert found.available() == ("features", "labels", "views")


def test_no_views_on_request(digits):
    assert extract(make_encoder(), digits, settings=EvaluationSettings(preset="digits", views=0)).views is None


@pytest.mark.parametrize("options", [{"batch_size": 7}, {"batch_size": 1000}, {"workers": 2, "batch_size": 16}])
def test_batch_size_and_workers_change_nothing(digits, options):
    one, two = extract(make_encoder(), digits), extract(make_encoder(), digits, **options)
    torch.testing.assert_close(one.features, two.features, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(one.views, two.views, rtol=1e-6, atol=1e-6)


def test_it_leaves_the_global_random_state_alone(digits):
    encoder = make_encoder()
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    extract(encoder, digits, workers=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_encoder_in_training_mode_is_refused(digits):
    encoder = make_encoder()
    encoder.train()
    with pytest.raises(CheckpointError, match="training mode"):
        extract(encoder, digits)


def test_the_cache_answers_for_the_same_weights_under_another_name(digits, tmp_path):
    cache = EmbeddingCache(tmp_path)
    one = extract(make_encoder(name="one"), digits, cache=cache)
    calls = []
    two = extract(make_encoder(name="two"), digits, cache=cache, progress=lambda *_: calls.append(1))
    assert calls == []
    assert torch.equal(one.features, two.features)
    assert two.provenance.checkpoint == "two"


@pytest.mark.parametrize("change", ["weights", "views seed", "rows"])
def test_the_cache_misses_when_something_that_matters_changes(digits, tmp_path, change):
    cache = EmbeddingCache(tmp_path)
    extract(make_encoder(), digits, cache=cache)
    calls = []
    extract(
        make_encoder(seed=1 if change == "weights" else 0),
        digits.subset(range(20)) if change == "rows" else digits,
        settings=EvaluationSettings(preset="digits", seed=1 if change == "views seed" else 0),
        cache=cache,
        progress=lambda *_: calls.append(1),
    )
    assert calls


def test_an_untrained_copy_has_other_weights_and_the_same_shape():
    encoder = make_encoder()
    state = torch.random.get_rng_state()
    one, two = untrained_copy(encoder, seed=3), untrained_copy(encoder, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert weights_digest(one) == weights_digest(two) != weights_digest(encoder)
    assert not any(module.training for module in one.modules())
    assert one.info.branch == "untrained"


@pytest.mark.parametrize("name", ["mean", "std"])
def test_the_cache_does_not_answer_for_images_that_are_normalised_otherwise(name, digits, tmp_path):
    """The same weights on the same images, and other pixels go in."""
    settings, cache = EvaluationSettings(preset="digits", views=0), EmbeddingCache(tmp_path)
    first = extract(make_encoder(), digits, settings=settings, cache=cache)
    other = make_encoder()
    other.info = replace(other.info, **{name: (0.5, 0.5, 0.5)})
    found = extract(other, digits, settings=settings, cache=cache)
    assert torch.equal(found.features, extract(other, digits, settings=settings).features)
    assert not torch.equal(found.features, first.features)
    again = extract(make_encoder(), digits, settings=settings, cache=cache)
    assert torch.equal(again.features, first.features)
