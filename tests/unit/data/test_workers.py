"""What goes wrong in a worker process reaches the caller as one line."""

import os
import signal
import time

import pytest
from torch.utils.data import Dataset

from repdiag.core.errors import DataError
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


@pytest.mark.parametrize("workers", [0, 2])
def test_items_come_in_order(workers):
    assert list(over_workers(Numbers(), workers=workers)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_keeps_its_parts(workers):
    with pytest.raises(DataError) as raised:
        list(over_workers(Numbers(complain), workers=workers))
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
