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
    Where they touch an annotation that suggests other words, they alone are drawn: two suggestions
    in one place would read as one garbled sentence. The annotation stays a highlight.
    """
    marks = _Marks()
    changed = _changed(changes)
    for anchor in anchors:
        _mark_anchor(marks, replace(anchor, replacement=None) if _on(anchor, changed) else anchor)
    _mark_changes(marks, changes)
    return tuple(_pieces(text, marks))


def tracked(changes: Iterable[Change]) -> tuple[Piece, ...]:
    """Return the pieces of a tracked change alone."""
    return tuple(Piece(text=text, change=operation) for operation, text in changes if text)


def readable(changes: Sequence[Change]) -> list[Change]:
    """Join edits that only a few kept characters part: whole phrases read better than confetti.

    What is kept, deleted and inserted still joins to the text before and after.
    """
    hunks = _hunks(changes)
    at = 1
    while at < len(hunks) - 1:
        before, here, after = hunks[at - 1 : at + 2]
        if _parts_too_little(before, here.kept, after):
            hunks[at - 1 : at + 2] = [_joined(before, here.kept, after)]
            at = max(1, at - 2)
        else:
            at += 1
    return [change for hunk in hunks for change in hunk.changes()]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Hunk:
    """Either kept text, or a deletion with its insertion."""

    kept: str = ""
    deleted: str = ""
    inserted: str = ""

    @property
    def size(self) -> int:
        return max(len(self.deleted), len(self.inserted))

    def changes(self) -> Iterable[Change]:
        """Return the hunk as changes, without empty ones."""
        all_three: tuple[Change, ...] = (
            ("=", self.kept),
            ("-", self.deleted),
            ("+", self.inserted),
        )
        return (change for change in all_three if change[1])


def _hunks(changes: Iterable[Change]) -> list[_Hunk]:
    hunks: list[_Hunk] = []
    for operation, text in changes:
        if operation == "=":
            hunks.append(_Hunk(kept=text))
            continue
        if not hunks or hunks[-1].kept:
            hunks.append(_Hunk())
        last = hunks[-1]
        deleted = last.deleted + (text if operation == "-" else "")
        hunks[-1] = _Hunk(deleted=deleted, inserted=last.inserted + text * (operation == "+"))
    return hunks


def _parts_too_little(before: _Hunk, kept: str, after: _Hunk) -> bool:
    """Tell whether kept text is no longer than both edits around it, and within one line."""
    return 0 < len(kept) <= min(before.size, after.size) and "\n" not in kept


def _joined(before: _Hunk, kept: str, after: _Hunk) -> _Hunk:
    return _Hunk(
        deleted=before.deleted + kept + after.deleted,
        inserted=before.inserted + kept + after.inserted,
    )


def _changed(changes: Iterable[Change]) -> list[tuple[int, int]]:
    """Return where the text is changed; a mere insertion has no length."""
    spans: list[tuple[int, int]] = []
    at = 0
    for operation, text in changes:
        end = at if operation == "+" else at + len(text)
        if operation != "=" and text:
            spans.append((at, end))
        at = end
    return spans


def _on(anchor: Anchor, spans: Iterable[tuple[int, int]]) -> bool:
    """Tell whether an anchor overlaps or adjoins one of the spans."""
    return any(start <= anchor.end and anchor.start <= end for start, end in spans)


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
