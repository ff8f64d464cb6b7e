"""What formulas leave open, settled as in the authors' code: which rows a head normalises together, what is dropped."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from repdiag.methods.base import Clock, TrainBatch

TRANSFORMER = Path(__file__).parents[2] / "end_to_end" / "tiny_transformer.py"
DINO = {"name": "dino", "outputs": 7, "hidden_dim": 6, "bottleneck_dim": 4}


class Rows(torch.nn.Module):
    """Passes its input on and remembers how many rows came at once."""

    def __init__(self, head):
        super().__init__()
        self.head, self.counts = head, []

    def forward(self, rows):
        self.counts.append(len(rows))
        return self.head(rows)


@pytest.mark.parametrize(
    ("settings", "views"), [({"name": "simclr"}, 2), ({"name": "swav", "prototypes": 5, "queue_size": 0}, 4), (DINO, 4)]
)
def test_heads_see_all_views_of_the_batch_at_once(make, batch, clock, settings, views):
    """So that batch norm in a head, which simclr, swav and dino have, takes one mean over all views."""
    method = make(**settings, projector={"batch_norm": True})
    method.projector = Rows(method.projector)
    if settings is DINO:
        method.momentum_projector = Rows(method.momentum_projector)
    method(batch, clock)
    assert method.projector.counts == [6 * views]
    if settings is DINO:
        assert method.momentum_projector.counts == [6 * 2]


def test_a_head_with_batch_norm_gives_the_normalised_rows_of_all_views(make, batch, clock):
    """SimCLR's loss by hand: features of both views through linear, batch norm over 12 rows, ReLU, linear."""
    method = make(name="simclr", temperature=0.5, projector={"batch_norm": True})
    with torch.no_grad():
        features = method.backbone(torch.cat(batch.views[:2]))
        first, norm, _, last = method.projector
        hidden = features @ first.weight.T
        hidden = (hidden - hidden.mean(dim=0)) / (hidden.var(dim=0, unbiased=False) + norm.eps).sqrt()
        rows = F.normalize(hidden.clamp_min(0) @ last.weight.T + last.bias, dim=1)
        scores = (rows @ rows.T / 0.5).fill_diagonal_(-math.inf)
        expected = F.cross_entropy(scores, (torch.arange(12) + 6) % 12)
    loss, _ = method(batch, clock)
    torch.testing.assert_close(loss.detach(), expected)


def test_dino_drops_paths_in_the_student_alone(make):
    from repdiag.config.training import TrainSettings
    from repdiag.methods.build import build_method

    settings = TrainSettings(
        backbone={"name": f"{TRANSFORMER}:build", "stem": "cifar"}, method=DINO, data={"image_size": 32}
    )
    method = build_method(settings, classes=2).train()

    def drops(network):
        return [module.drop_prob for module in network.modules() if hasattr(module, "drop_prob")]

    assert max(drops(method.backbone)) > 0
    assert set(drops(method.momentum_backbone)) == {0.0}
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(method.momentum_backbone(images), method.momentum_backbone(images))


def test_dinos_head_starts_with_small_weights_and_no_biases(make):
    """Weights N(0, .02), biases 0; the last layer as torch draws a linear one: uniform within 1/sqrt(inputs)."""
    head = make(name="dino", outputs=4096, hidden_dim=64, bottleneck_dim=16).projector
    linear = [layer for layer in head.mlp if isinstance(layer, torch.nn.Linear)]
    assert all(float(layer.bias.detach().abs().max()) == 0.0 for layer in linear)
    assert float(linear[1].weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert float(head.last_layer.detach().abs().max()) == pytest.approx(16**-0.5, rel=0.01)


def test_dinos_outputs_learn_their_lengths_where_they_are_meant_to(make, batch):
    """As with SSLight's ViT: a length of two doubles the logits of unit rows; like the layer, it waits for an epoch."""
    head = make(**DINO, learn_scales=True).projector
    features = torch.randn(5, head.mlp[0].in_features)
    before = head(features)
    with torch.no_grad():
        head.scales.mul_(2.0)
    torch.testing.assert_close(head(features), 2.0 * before)
    assert make(**DINO).projector.scales is None
    method = make(**DINO, learn_scales=True, freeze_last_layer_epochs=1)
    for step, waits in ((0, True), (5, False)):
        method.zero_grad()
        method(batch, Clock(step, 20, 5))[0].backward()
        method.after_backward()
        assert (method.projector.scales.grad is None) is waits


def test_seed_adds_the_mean_over_patches_to_the_mean_over_whole_views(make, batch, clock):
    """The authors' loss is criterion(whole) + criterion(all patches); of the patches one an image enters the queue."""
    teacher = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 4))
    whole, *patches = batch.views[0], batch.views[2], batch.views[3]
    method = make(name="seed", teacher=teacher, queue_size=12, student_temperature=0.5, teacher_temperature=0.1)
    before = method.patch_queue.keys.clone()
    with torch.no_grad():
        student = torch.cat(
            [method.projector(method.backbone(whole)), method.projector(method.backbone(torch.cat(patches)))]
        )
        student, taught = F.normalize(student, dim=1), F.normalize(teacher(whole), dim=1)
        taught_patches = F.normalize(torch.cat([teacher(patch) for patch in patches]), dim=1)
        expected = entropy(student[:6], taught, method.queue.keys) + entropy(student[6:], taught_patches, before)
    loss, _ = method(TrainBatch((whole, *patches), batch.labels), clock)
    torch.testing.assert_close(loss.detach(), expected)
    method.after_step()
    assert method.patch_queue.position == 6
    torch.testing.assert_close(method.patch_queue.keys, torch.cat([taught_patches[:6], before[6:]]))


def entropy(student, taught, keys):
    """Return the cross-entropy of similarities to [the teacher's own row; the queue] at temperatures 0.1 and 0.5."""
    keys = keys.clone()
    target = torch.cat([(taught * taught).sum(1, keepdim=True), taught @ keys.T], dim=1).div(0.1).softmax(dim=1)
    scores = torch.cat([(student * taught).sum(1, keepdim=True), student @ keys.T], dim=1) / 0.5
    return -(target * scores.log_softmax(dim=1)).sum(dim=1).mean()


def test_a_local_view_of_a_large_ones_size_is_a_local_view(make, batch, clock):
    """With (a, b) = (1, 0) the loss is that of the large query alone, whatever the size of the third view."""
    method = make(name="moco_v2", queue_size=12, balance=(1.0, 0.0))
    method.backbone = method.momentum_backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    views = (*batch.views[:2], batch.views[1].flip(0))
    alone, with_local, by_size = (
        float(method(one, clock)[0].detach())
        for one in (
            TrainBatch(views[:2], batch.labels),
            TrainBatch(views, batch.labels, large=2),
            TrainBatch(views, batch.labels),
        )
    )
    assert with_local == pytest.approx(alone, rel=1e-6)
    assert by_size != pytest.approx(alone, rel=1e-6)
