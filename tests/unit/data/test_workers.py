"""What goes wrong in a worker process reaches the caller as one line."""

import os
import signal
import time

import pytest
from torch.utils.data import Dataset

from repdiag.core.errors import DataError
from repdiag.data import workers
from repdiag.data.workers import over_workers

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


class Numbers(Dataset):
    def __init__(self, action=lambda: None):
        self.action = action

    def __len__(self):
        return 6

    def __getitem__(self, item):
        if item == 3:
            self.action()
        return item * item


def complain():
    raise DataError("3.png cannot be read", found="nonsense", hint="mend it")


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def be_signalled():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
        os.kill(os.getpid(), number)


def hang():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


@pytest.mark.parametrize("number", [0, 2])
def test_items_come_in_order(number):
    assert list(over_workers(Numbers(), workers=number)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize("number", [0, 2])
def test_an_error_keeps_its_parts(number):
    with pytest.raises(DataError) as raised:
        list(over_workers(Numbers(complain), workers=number))
    assert (raised.value.problem, raised.value.found, raised.value.hint) == (
        "3.png cannot be read",
        "nonsense",
        "mend it",
    )


def test_a_worker_that_is_killed_ends_the_reading_with_a_remedy():
    with pytest.raises(DataError, match="images died") as raised:
        list(over_workers(Numbers(die), workers=2))
    assert "data.workers=0" in raised.value.hint
    assert "\n" not in raised.value.found


def test_a_signal_to_all_processes_leaves_the_workers_to_the_run():
    assert list(over_workers(Numbers(be_signalled), workers=2)) == [0, 1, 4, 9, 16, 25]


def test_a_worker_that_hangs_when_the_run_should_end_ends_at_last(monkeypatch):
    monkeypatch.setattr(workers, "_GRACE", 1)
    with pytest.raises(DataError, match="images died"):
        list(over_workers(Numbers(hang), workers=2))
