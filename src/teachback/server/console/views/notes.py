"""Annotations as numbered notes beside the text they were made on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from teachback.model.feedback import Feedback, SelectorPart, ThreadEntry
from teachback.server.console.views.anchors import Anchor, find

NoteState = Literal["open", "resolved", "accepted", "rejected"]

#: What a step in a thread leaves the annotation in; a reply changes nothing.
STATES: dict[str, NoteState] = {
    "resolve": "resolved",
    "reopen": "open",
    "accept": "accepted",
    "reject": "rejected",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One annotation with its number and its thread."""

    number: int
    feedback_id: str
    part: SelectorPart
    #: Which context item, when the part is the context.
    index: int | None
    state: NoteState
    thread: tuple[ThreadEntry, ...]
    #: Where it stands; None when its text is no longer there.
    anchor: Anchor | None


def note(number: int, feedback: Feedback, thread: Sequence[ThreadEntry], text: str) -> Note:
    """Place one annotation on the text it was made on."""
    selector = feedback.selector
    assert selector is not None  # an annotation always has one: the rules of acceptance say so
    state = note_state(thread)
    return Note(
        number=number,
        feedback_id=feedback.id,
        part=selector.part,
        index=selector.index,
        state=state,
        thread=tuple(thread),
        anchor=None if feedback.withdrawn else _anchor(number, feedback, state, text),
    )


def note_state(thread: Iterable[ThreadEntry]) -> NoteState:
    """Return the state that the last deciding step left."""
    state: NoteState = "open"
    for entry in thread:
        state = STATES.get(entry.action, state)
    return state


def _anchor(number: int, feedback: Feedback, state: NoteState, text: str) -> Anchor | None:
    assert feedback.selector is not None  # checked by the caller
    place = find(text, feedback.selector)
    if place is None:
        return None
    # A rejected suggestion stays in its note; the text is shown without it.
    replacement = None if state == "rejected" else feedback.correction
    return Anchor(note=number, start=place[0], end=place[1], replacement=replacement)
