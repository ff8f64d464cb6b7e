import pytest
import torch
from torch import nn

from repdiag.core.errors import UsageError
from repdiag.models.momentum import momentum_copy, update_momentum
from repdiag.models.projectors import build_projector
from repdiag.models.prototypes import Prototypes


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        ("linear", [(10, 128)]),
        ("simple", [(10, 10), (10, 128)]),
        ("wide", [(10, 20), (20, 128)]),
        ("deep", [(10, 10), (10, 10), (10, 128)]),
    ],
)
def test_widths_of_each_kind(kind, widths):
    layers = [layer for layer in build_projector(kind, 10) if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == widths


def test_dropout_and_batch_norm_act_on_hidden_layers_only():
    kinds = [type(layer).__name__ for layer in build_projector("simple", 4, out_dim=2, batch_norm=True, dropout=0.5)]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]


def test_unknown_projector():
    with pytest.raises(UsageError, match="simple"):
        build_projector("simpel", 4)


def test_momentum_moves_parameters_and_leaves_statistics():
    online = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    target = momentum_copy(online)
    before = target[0].weight.clone()
    with torch.no_grad():
        online[0].weight.add_(1.0)
        online[1].running_mean.add_(5.0)
    update_momentum(target, online, momentum=0.9)
    torch.testing.assert_close(target[0].weight, before + 0.1)
    assert target[1].running_mean.tolist() == [0.0, 0.0]
    assert not any(weight.requires_grad for weight in target.parameters())


def test_prototypes_are_unit_vectors_and_score_by_cosine():
    prototypes = Prototypes(3, 5)
    torch.testing.assert_close(prototypes.weight.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(prototypes(prototypes.weight.detach()).diagonal(), torch.ones(5))
