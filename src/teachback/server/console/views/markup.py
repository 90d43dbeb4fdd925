"""Cut a text into pieces that carry its annotations and its tracked changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from teachback.core.diff import Change, Op
from teachback.server.console.views.anchors import Anchor


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of text of one look."""

    text: str
    #: Kept, deleted or inserted.
    change: Op = "="
    #: Numbers of the notes that lie over it.
    notes: tuple[int, ...] = ()
    #: Numbers of the notes that end with it: their markers follow.
    closes: tuple[int, ...] = ()


@dataclass(kw_only=True, slots=True)
class _Marks:
    """What begins and ends at each position of the text."""

    opens: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    closes: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    deleted: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    inserted: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def positions(self) -> set[int]:
        """Return every position where the look of the text changes."""
        return {*self.opens, *self.closes, *self.deleted, *self.inserted}


def mark_up(
    text: str, anchors: Iterable[Anchor] = (), changes: Sequence[Change] = ()
) -> tuple[Piece, ...]:
    """Return the pieces of a text in order; those not inserted join to the text itself.

    `changes` must turn this text into another: its kept and deleted parts join to the text.
    """
    marks = _Marks()
    for anchor in anchors:
        _mark_anchor(marks, anchor)
    _mark_changes(marks, changes)
    return tuple(_pieces(text, marks))


def tracked(changes: Iterable[Change]) -> tuple[Piece, ...]:
    """Return the pieces of a tracked change alone."""
    return tuple(Piece(text=text, change=operation) for operation, text in changes if text)


def _mark_anchor(marks: _Marks, anchor: Anchor) -> None:
    marks.opens[anchor.start].append(anchor.note)
    marks.closes[anchor.end].append(anchor.note)
    if anchor.replacement is not None:
        _delete(marks, anchor.start, anchor.end)
        marks.inserted[anchor.end].append(anchor.replacement)


def _mark_changes(marks: _Marks, changes: Iterable[Change]) -> None:
    at = 0
    for operation, text in changes:
        if operation == "+":
            marks.inserted[at].append(text)
            continue
        if operation == "-":
            _delete(marks, at, at + len(text))
        at += len(text)


def _delete(marks: _Marks, start: int, end: int) -> None:
    marks.deleted[start] += 1
    marks.deleted[end] -= 1


def _pieces(text: str, marks: _Marks) -> list[Piece]:
    pieces: list[Piece] = []
    active: dict[int, None] = {}  # keeps the order in which notes began
    deleted, last = 0, 0
    for at in sorted({p for p in marks.positions() if p <= len(text)} | {len(text)}):
        if last < at:
            change: Op = "-" if deleted else "="
            pieces.append(Piece(text=text[last:at], change=change, notes=tuple(active)))
        pieces += [Piece(text=new, change="+") for new in marks.inserted.get(at, ()) if new]
        _close(pieces, marks.closes.get(at, ()), active)
        active |= dict.fromkeys(n for n in marks.opens.get(at, ()))
        deleted += marks.deleted.get(at, 0)
        last = at
    return pieces


def _close(pieces: list[Piece], notes: Sequence[int], active: dict[int, None]) -> None:
    """End notes here: the last piece carries their markers."""
    for note in notes:
        active.pop(note, None)
    if notes and pieces:
        pieces[-1] = replace(pieces[-1], closes=tuple(notes))
