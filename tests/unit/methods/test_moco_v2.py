"""MoCo v2's wiring: what is a key, what is a query, what enters the queue and what moves the momentum networks."""

import pytest
import torch
import torch.nn.functional as F

from repdiag.core.errors import ConfigError
from repdiag.methods.base import TrainBatch
from repdiag.methods.key_queue import KeyQueue


def two_views(batch):
    return TrainBatch(batch.views[:2], batch.labels)


def test_loss_of_the_first_step(make, batch, clock):
    """Written out from the networks' outputs: the key of view 0, the query of view 1, the initial queue."""
    method = make(name="moco_v2", queue_size=12, temperature=0.5)
    reference = make(name="moco_v2", queue_size=12, temperature=0.5)
    loss, logs = method(two_views(batch), clock)
    with torch.no_grad():
        key = F.normalize(reference.momentum_projector(reference.momentum_backbone(batch.views[0])), dim=1)
        query = F.normalize(reference.projector(reference.backbone(batch.views[1])), dim=1)
        scores = torch.stack([(query * key).sum(1), *(query @ row for row in reference.queue.keys)], dim=1) / 0.5
        expected = -(scores[:, 0] - scores.exp().sum(dim=1).log()).mean()
    torch.testing.assert_close(loss.detach(), expected)
    assert set(logs) == {"contrast_accuracy"}


def test_after_a_step_the_keys_are_in_the_queue_and_the_momentum_networks_moved(make, batch, clock):
    method = make(name="moco_v2", queue_size=12, momentum=0.5)
    before = method.momentum_backbone.trunk[0].weight.clone()
    loss, _ = method(two_views(batch), clock)
    loss.backward()
    assert all(weight.grad is None for weight in method.momentum_backbone.parameters())
    with torch.no_grad():
        method.backbone.trunk[0].weight.add_(1.0)
    untouched = method.queue.keys[6:].clone()
    method.after_step()
    torch.testing.assert_close(method.momentum_backbone.trunk[0].weight, before + 0.5)
    torch.testing.assert_close(method.queue.keys.norm(dim=1), torch.ones(12))
    assert torch.equal(method.queue.keys[6:], untouched)
    assert method.queue.position == 6


def test_shuffled_groups_give_each_image_the_key_of_its_own_group_statistics(make, batch, clock):
    """Six groups of six images are made three, of two images: a change of one image changes two keys of the six."""
    method = make(name="moco_v2", queue_size=12, shuffle_groups=6)
    other = TrainBatch((batch.views[0].clone(), batch.views[1]), batch.labels)
    other.views[0][3] += 1.0
    keys = []
    for item in (two_views(batch), other):
        torch.manual_seed(0)  # the same groups
        method(item, clock)
        keys.append(method._new_keys)
    changed = (keys[0] != keys[1]).any(dim=1)
    assert (bool(changed[3]), int(changed.sum())) == (True, 2)


def test_multi_crop_weights_global_and_local_queries(make, batch, clock):
    """With (a, b) = (1, 0) only the global query counts, with (0, 1) only the local ones; in between, both."""
    losses = {}
    for balance in ((1.0, 0.0), (0.0, 1.0), (0.25, 0.75)):
        losses[balance], _ = make(name="moco_v2", queue_size=12, balance=balance)(batch, clock)
    alone, _ = make(name="moco_v2", queue_size=12)(two_views(batch), clock)
    torch.testing.assert_close(losses[1.0, 0.0], alone)
    torch.testing.assert_close(losses[0.25, 0.75], 0.25 * losses[1.0, 0.0] + 0.75 * losses[0.0, 1.0])


def test_the_queue_is_a_ring():
    queue = KeyQueue(5, 1)
    for start in (1.0, 4.0, 7.0):
        queue.push(torch.tensor([[start], [start + 1], [start + 2]]))
    assert queue.keys.flatten().tolist() == [6.0, 7.0, 8.0, 9.0, 5.0]
    with pytest.raises(ConfigError, match="at least one batch"):
        queue.push(torch.zeros(6, 1))
