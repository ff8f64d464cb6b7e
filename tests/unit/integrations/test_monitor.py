"""A model in anybody's training is looked at and left as it was; loggers get plain numbers."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from repdiag.core.errors import ConfigError
from repdiag.integrations.hugging_face import trainer_callback
from repdiag.integrations.lightning import lightning_callback
from repdiag.integrations.monitor import RepresentationMonitor, as_scalars


@pytest.fixture(scope="module")
def monitor():
    return RepresentationMonitor("digits", image_size=16, per_class=5, metrics=("uniformity", "knn_accuracy"))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(3), nn.Flatten()
    )


def test_the_model_and_the_random_numbers_stay_as_they_are(monitor, model):
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first, second = monitor(model, epoch=1), monitor(model, epoch=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert first.to_frame().equals(second.to_frame())  # eval mode: no dropout, no batch statistics
    assert {row.epoch for row in first} == {1}
    assert {row.n for row in first} == {50}


def test_a_model_in_half_precision_is_looked_at_in_single(monitor, model):
    values = [as_scalars(monitor(one))["uniformity"] for one in (model, model.bfloat16())]
    assert values[1] == pytest.approx(values[0], rel=0.05)
    assert model[0].weight.dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("output", "found"), [(lambda rows: {"rows": rows}, "dict"), (lambda rows: rows[:, :, None], "shape")]
)
def test_a_model_of_other_outputs_is_told_what_is_needed(monitor, model, output, found):
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            return output(self.model(images))

    with pytest.raises(ConfigError, match=r"returns features \[B, D\]") as caught:
        monitor(Other())
    assert found in str(caught.value)


def test_scalars_have_a_name_for_each_setting(monitor, model):
    scalars = as_scalars(monitor(model))
    assert scalars["uniformity"] < 0
    assert 0 <= scalars["knn_accuracy/k20"] <= 1


def fake(monkeypatch, name, **content):
    module = ModuleType(name)
    for key, value in content.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_lightning_logs_every_second_epoch_of_the_first_process(monitor, model, monkeypatch):
    fake(monkeypatch, "lightning")
    fake(monkeypatch, "lightning.pytorch", Callback=object)
    callback = lightning_callback(monitor, every_epochs=2)
    logged = []
    module = SimpleNamespace(backbone=model, log_dict=lambda values, **_: logged.append(values))
    for epoch in range(4):
        callback.on_train_epoch_end(SimpleNamespace(current_epoch=epoch, is_global_zero=True), module)
    callback.on_train_epoch_end(SimpleNamespace(current_epoch=1, is_global_zero=False), module)
    assert len(logged) == 2
    assert "repdiag/uniformity" in logged[0]
    deeper = SimpleNamespace(student=SimpleNamespace(encoder=model), log_dict=module.log_dict)
    callback = lightning_callback(monitor, backbone="student.encoder")
    callback.on_train_epoch_end(SimpleNamespace(current_epoch=0, is_global_zero=True), deeper)
    assert logged[2] == logged[0]


def test_the_trainer_reports_after_an_epoch(monitor, model, monkeypatch):
    fake(monkeypatch, "transformers", TrainerCallback=object)
    reported = []
    callback = trainer_callback(monitor, backbone=lambda whole: whole.encoder, report=reported.append)
    whole = nn.Module()
    whole.encoder = model
    callback.on_epoch_end(None, SimpleNamespace(is_world_process_zero=True, epoch=1.0), None, model=whole)
    assert "repdiag/uniformity" in reported[0]
