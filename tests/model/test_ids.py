"""Ids of ours are UUIDs of version 7."""

from __future__ import annotations

import uuid

from teachback.model.ids import new_id


def test_ids_sort_by_their_time() -> None:
    """By the text, too: lists and indexes rely on it."""
    made = [new_id(at) for at in (0.0, 1.5, 1_772_366_400.0, 1_772_366_400.001, 9_999_999_999.0)]
    assert made == sorted(made)
    assert int(made[3].replace("-", "")[:12], 16) == 1_772_366_400_001


def test_ids_are_of_version_7_and_never_the_same() -> None:
    """74 random bits within a millisecond."""
    made = {new_id(1_772_366_400.0) for _ in range(10_000)}
    assert len(made) == 10_000
    assert {(one.version, one.variant) for one in map(uuid.UUID, made)} == {(7, uuid.RFC_4122)}
