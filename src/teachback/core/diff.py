"""The difference between an answer and its correction, as a tracked change."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Literal

Op = Literal["=", "-", "+"]
Change = tuple[Op, str]

#: Words, runs of white space, and single other characters: what people edit.
_TOKENS = re.compile(r"\w+|\s+|[^\w\s]")
#: Beyond this many tokens on either side only the common ends are matched: the matcher's worst
#: case grows with the square.
MAX_TOKENS = 4_000


def tracked_change(before: str, after: str) -> list[Change]:
    """Return the edits from `before` to `after`: kept, deleted and inserted text in order.

    Joining all but the deletions gives `after` exactly; all but the insertions, `before`.
    """
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    if "".join(old) != before or "".join(new) != after:
        old, new = list(before), list(after)
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    middle = _middle(old[start : len(old) - end], new[start : len(new) - end])
    changes = [("=", "".join(old[:start])), *middle, ("=", "".join(old[len(old) - end :]))]
    return _merge(changes)


def apply(changes: list[Change]) -> str:
    """Return the text after the change."""
    return "".join(text for op, text in changes if op != "-")


def _common(one: list[str], other: list[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _middle(old: list[str], new: list[str]) -> list[Change]:
    if len(old) > MAX_TOKENS or len(new) > MAX_TOKENS:
        return [("-", "".join(old)), ("+", "".join(new))]
    changes: list[Change] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            changes.append(("=", "".join(old[i1:i2])))
        else:
            changes += [("-", "".join(old[i1:i2])), ("+", "".join(new[j1:j2]))]
    return changes


def _merge(changes: list[Change]) -> list[Change]:
    merged: list[Change] = []
    for op, text in changes:
        if text and merged and merged[-1][0] == op:
            merged[-1] = (op, merged[-1][1] + text)
        elif text:
            merged.append((op, text))
    return merged
