"""The other methods: what their losses are in cases one can derive, and what moves when."""

import math

import pytest
import torch
import torch.nn.functional as F

from repdiag.core.errors import ConfigError
from repdiag.methods.base import Clock, TrainBatch, forward_by_size


def test_views_of_one_size_share_a_forward_pass_and_keep_their_order():
    calls = []

    class Mean(torch.nn.Module):
        def forward(self, images):
            calls.append(len(images))
            return images.mean(dim=(1, 2, 3))[:, None]

    views = [torch.full((2, 3, size, size), float(value)) for value, size in enumerate((4, 2, 4, 2))]
    outputs = forward_by_size(Mean(), views)
    assert [output[0, 0].item() for output in outputs] == [0.0, 1.0, 2.0, 3.0]
    assert calls == [4, 4]


def test_simclr_of_identical_views_and_orthogonal_images(make, clock):
    """A projector that sends images to axes: partner similarity 1, all 2(B-1) others 0."""
    method = make(name="simclr", temperature=0.5)
    method.backbone, method.projector = torch.nn.Flatten(), torch.nn.Identity()
    views = torch.eye(3).view(3, 1, 1, 3)
    loss, logs = method(TrainBatch((views, views), torch.zeros(3, dtype=torch.long)), clock)
    assert float(loss) == pytest.approx(math.log(1 + 4 * math.exp(-2)), rel=1e-6)
    assert float(logs["contrast_accuracy"]) == 1.0


def test_supervised_loss_is_cross_entropy_of_the_classifier(make, batch, clock):
    method = make(name="supervised")
    with torch.no_grad():
        method.classifier.weight.zero_()
        method.classifier.bias.zero_()
    loss, _ = method(batch, clock)
    assert float(loss.detach()) == pytest.approx(math.log(3), rel=1e-6)


def test_seed_with_a_cold_teacher_is_contrast_with_the_teachers_embedding(make, batch, clock):
    """At a teacher temperature near 0 the target is one-hot on the teacher's own embedding."""
    teacher = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 4))
    method = make(name="seed", teacher=teacher, queue_size=8, student_temperature=0.5, teacher_temperature=1e-4)
    view = batch.views[0]
    with torch.no_grad():
        own = F.normalize(teacher(view), dim=1)
        student = F.normalize(method.projector(method.backbone(view)), dim=1)
        scores = torch.cat([(student * own).sum(1, keepdim=True), student @ method.queue.keys.T], dim=1) / 0.5
        expected = F.cross_entropy(scores, torch.zeros(6, dtype=torch.long))
    loss, _ = method(TrainBatch((view,), batch.labels), clock)
    torch.testing.assert_close(loss.detach(), expected)
    method.after_step()
    torch.testing.assert_close(method.queue.keys[:6], own)
    assert not any(name.startswith("_teacher") for name, _ in method.named_parameters())


def test_seed_keeps_patches_in_a_queue_of_their_own(make, batch, clock):
    teacher = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 4))
    method = make(name="seed", teacher=teacher, queue_size=12)
    method(batch, clock)
    method.after_step()
    assert (method.queue.position, method.patch_queue.position) == (0, 6)  # two whole views, one patch of two
    torch.testing.assert_close(method.queue.keys[:6], F.normalize(teacher(batch.views[0]), dim=1).detach())
    torch.testing.assert_close(method.patch_queue.keys[:6], F.normalize(teacher(batch.views[2]), dim=1).detach())


def test_seed_without_a_teacher_is_an_error(make):
    with pytest.raises(ConfigError, match="teacher"):
        make(name="seed")


def test_swav_holds_its_prototypes_still_at_first_and_keeps_them_on_the_sphere(make, batch):
    method = make(name="swav", prototypes=5, queue_size=12, queue_from_epoch=1, freeze_prototypes_epochs=1)
    for step, still in ((0, True), (5, False)):
        method.zero_grad()
        loss, _ = method(batch, Clock(step, 20, 5))
        loss.backward()
        method.after_backward()
        assert (method.prototypes.weight.grad is None) is still
        method.after_step()
    torch.testing.assert_close(method.prototypes.weight.norm(dim=1), torch.ones(5))
    assert [queue.position for queue in method.queues] == [0, 0]


def test_swav_balance(make, batch, clock):
    losses = {}
    for balance in ((1.0, 0.0), (0.0, 1.0), (0.4, 0.6), None):
        losses[balance], _ = make(name="swav", prototypes=5, queue_size=0, balance=balance)(batch, clock)
    torch.testing.assert_close(losses[0.4, 0.6], 0.4 * losses[1.0, 0.0] + 0.6 * losses[0.0, 1.0])
    # 2 global terms and 2 x 2 local ones
    torch.testing.assert_close(losses[None], (2 * losses[1.0, 0.0] + 4 * losses[0.0, 1.0]) / 6)


DINO = {"name": "dino", "outputs": 7, "hidden_dim": 6, "bottleneck_dim": 4}


def test_dino_teacher_temperature_and_momentum_follow_their_schedules(make, batch):
    """Temperature: .04 at epoch 0, .07 from the last warm-up epoch on. Momentum: half-way at mid-run."""
    method = make(**DINO, teacher_warmup_epochs=4, momentum=0.5)
    found = []
    for step in (0, 15, 20):
        method.clock = Clock(step, 20, 5)
        found.append(method.teacher_temperature())
    assert found == pytest.approx([0.04, 0.07, 0.07])
    method.clock = Clock(10, 20, 5)
    before = method.momentum_backbone.trunk[0].weight.clone()
    with torch.no_grad():
        method.backbone.trunk[0].weight.add_(1.0)
    method.after_step()
    torch.testing.assert_close(method.momentum_backbone.trunk[0].weight, before + 0.25)


def test_dino_centre_moves_towards_the_teachers_mean_and_the_last_layer_waits(make, batch, clock):
    method = make(**DINO, center_momentum=0.75, freeze_last_layer_epochs=1)
    loss, logs = method(batch, clock)
    loss.backward()
    mean = method._teacher_mean.clone()
    method.after_backward()
    assert method.projector.last_layer.grad is None
    assert method.backbone.trunk[0].weight.grad is not None
    method.after_step()
    torch.testing.assert_close(method.center, 0.25 * mean)
    assert 0 <= float(logs["teacher_entropy"]) <= math.log(7)


def test_dino_of_equal_outputs_costs_the_log_of_their_number(make, batch, clock):
    """A last layer of one direction gives equal logits: student and teacher are uniform."""
    method = make(**DINO)
    with torch.no_grad():
        for head in (method.projector, method.momentum_projector):
            head.last_layer.copy_(head.last_layer[:1].expand(7, 4).clone())
    loss, logs = method(batch, clock)
    assert float(loss.detach()) == pytest.approx(math.log(7), rel=1e-5)
    assert float(logs["teacher_entropy"]) == pytest.approx(math.log(7), rel=1e-5)
