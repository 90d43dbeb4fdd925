"""Tries are counted by name, for a while, in bounded memory."""

from __future__ import annotations

import time

from teachback.server import attempts
from teachback.server.attempts import Attempts


def test_tries_are_allowed_again_when_the_window_has_passed() -> None:
    """What is waited for comes; other names never wait."""
    counted = Attempts(limit=2, window_s=0.05)
    counted.note("alice")
    assert counted.wait_s("alice") == 0
    counted.note("alice")
    assert 0 < counted.wait_s("alice") <= 0.05
    assert counted.wait_s("bob") == 0
    time.sleep(0.06)
    assert counted.wait_s("alice") == 0


def test_try_that_was_right_is_taken_back() -> None:
    """A refund leaves the earlier wrong tries."""
    counted = Attempts(limit=2, window_s=60)
    counted.note("alice")
    counted.note("alice")
    counted.refund("alice")
    assert counted.wait_s("alice") == 0
    counted.note("alice")
    assert counted.wait_s("alice") > 0


def test_memory_stays_bounded_when_names_are_made_up() -> None:
    """The longest untouched name is forgotten first."""
    counted = Attempts(limit=1, window_s=60)
    for i in range(attempts.CAPACITY + 1):
        counted.note(f"name {i}")
    assert counted.wait_s("name 0") == 0
    assert counted.wait_s("name 1") > 0
