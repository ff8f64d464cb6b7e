"""Two processes train the very model that one process trains with the same batch of all images."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from repdiag.checkpoints.own.native import read_native
from repdiag.training.history import read_history

pytestmark = pytest.mark.timeout(900)  # whole trainings, on machines that may be busy
SCRIPT = Path(__file__).with_name("distributed_runs.py")
RUN = [
    f"backbone.name={Path(__file__).with_name('tiny_backbone.py')}:build",
    "data.limit=80",
    "schedule.epochs=2",
    "schedule.warmup_epochs=1",
    "loop.batch_size=16",
    "loop.log_every=1",
]
QUEUE = ["method.queue_size=32", "method.shuffle_groups=1", "projector.batch_norm=true"]
LOCAL = ["views.local_views=2", "projector.hidden_dim=8"]
METHODS = {
    "digits_moco_v2": QUEUE,
    "simclr": [],
    "supervised": [],
    "sslight_moco": [*QUEUE, *LOCAL],
    "sslight_swav": [*LOCAL, "method.prototypes=6", "method.queue_size=32", "method.queue_from_epoch=1"],
    "sslight_dino": ["views.local_views=2", "method.outputs=9", "method.hidden_dim=8", "method.bottleneck_dim=4"],
}
SHUFFLED = [*QUEUE, "method.shuffle_groups=2", "loop.batch_norm=local"]


def launch(plan, folder, *, processes):
    """Make the runs of a plan in so many processes; return their directories."""
    plan_file = folder / f"plan{processes}.json"
    runs = [[str(folder / f"{name}-{processes}"), recipe, overrides] for name, recipe, overrides in plan]
    plan_file.write_text(json.dumps(runs))
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(torchrun if processes > 1 else []), str(SCRIPT), str(plan_file)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {name: Path(out) for (name, _, _), (out, _, _) in zip(plan, runs, strict=True)}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The runs of every method in one process and in two; "resumed" is begun by one and ended by two."""
    folder = tmp_path_factory.mktemp("distributed")
    plan = [(name, name, [*RUN, *overrides]) for name, overrides in METHODS.items()]
    plan.append(("fine-tuned", "semi-10", []))
    resumed = ("resumed", "digits_moco_v2", [*RUN, *QUEUE, "loop.keep_every_epochs=1"])
    alone = launch([*plan, resumed], folder, processes=1)
    first_epoch = folder / "resumed-2" / "checkpoints" / "last.pt"
    first_epoch.parent.mkdir(parents=True)
    shutil.copy(alone["resumed"] / "checkpoints" / "epoch_0001.pt", first_epoch)
    shuffled = ("shuffled", "digits_moco_v2", [*RUN, *SHUFFLED])
    return alone, launch([*plan, resumed, shuffled], folder, processes=2)


def weights(run):
    return read_native(run / "checkpoints" / "last.pt")["backbone"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*METHODS, "resumed"])
def test_two_processes_follow_the_curve_of_one(both, name):
    alone, together = (read_history(runs[name] / "history.csv") for runs in both)
    expected_steps = range(6 if name == "resumed" else 1, 11)
    assert [row["step"] for row in together] == list(expected_steps)
    # Sums are taken in another order; ten steps make some 4e-6 of it.
    for found, expected in zip(together, alone[-len(together) :], strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    for key, value in weights(both[0][name]).items():
        torch.testing.assert_close(weights(both[1][name])[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_two_processes_fine_tune_as_one_does(both):
    one, two = (runs["fine-tuned"] for runs in both)
    states = [read_native(run / "encoder-semi-10" / "checkpoints" / "last.pt") for run in (one, two)]
    for key, value in states[0]["backbone"].items():
        torch.testing.assert_close(states[1]["backbone"][key], value, rtol=1e-4, atol=1e-5)
    values = [json.loads((run / f"value-{rank}.json").read_text()) for run, rank in ((one, 0), (two, 0), (two, 1))]
    assert values[1] == values[2]
    assert values[0] == pytest.approx(values[1], abs=1.5 / 160)  # an image at the border of two classes at most


@pytest.mark.slow
def test_keys_normalised_elsewhere_than_their_queries(both):
    """Shuffled over processes, with statistics of each one's part, training takes another course than synchronized."""
    shuffled, synchronized = (weights(both[1][name]) for name in ("shuffled", "digits_moco_v2"))
    assert all(torch.isfinite(value).all() for value in shuffled.values())
    assert not torch.equal(shuffled["0.weight"], synchronized["0.weight"])
