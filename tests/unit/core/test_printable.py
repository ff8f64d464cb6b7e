"""What a stranger wrote, on a terminal: nothing acts, nothing is long, nothing is walked through."""

from __future__ import annotations

import copy
import time

from repdiag.core.errors import CheckpointError
from repdiag.core.printable import brief, on_screen, one_line, printable


def test_what_acts_is_shown_as_its_escape_and_the_rest_stays() -> None:
    assert printable("\x1b[2J\r\x07\x9b\u202e\ud800\x7f") == "\\x1b[2J\\r\\x07\\x9b\\u202e\\ud800\\x7f"
    assert printable("größe 猫 a\u00a0b\n\tc") == "größe 猫 a\u00a0b\n\tc"
    assert one_line("a\nb") == "a\\nb"
    assert len(one_line("x" * 10**6)) <= 201
    printable("\ud800").encode()


def test_a_value_that_doubles_is_named_by_its_kind() -> None:
    leaves: tuple[object, ...] = ()
    for _ in range(60):
        leaves = (leaves, leaves)
    started = time.process_time()
    assert brief(leaves) == "a tuple of 2"
    assert brief(10**5000) == "a number of 16610 bits"
    assert brief(b"\x1b" * 1000, 4) == "b'\\x1b\\x1b\\x1b\\x1b'..."
    assert time.process_time() - started < 0.5


def test_an_error_is_one_screen_whatever_it_quotes() -> None:
    for long in ("x" * 10**7, "\n".join("y" * 500 for _ in range(10**4)), "\x1b" * 10**6, "猫" * 10**6):
        error = CheckpointError(long, found=long, hint=long)
        assert len(str(error).encode()) < 4096
        assert len(str(error).splitlines()) < 50
        assert "\x1b" not in str(error)
        assert str(copy.copy(error)) == str(error)
    assert on_screen("a\nb", most_bytes=100, most_lines=1) == "a\n    ... and 1 more lines"
