"""Feedback on one target, in any of its six kinds; each call sends one judgement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from teachback.model.feedback import DEFAULT_NAMES, Kind, Scale, SelectorPart, Source
from teachback.model.ids import new_id
from teachback.sdk import render
from teachback.sdk.guard import guarded

Fields = dict[str, object]


def _lost(group: FeedbackGroup) -> FeedbackGroup:
    """Count a judgement that could not be made of what was given."""
    group._lose()
    return group


class FeedbackGroup:
    """What one author says in one go: all of it shares a `submission_id`.

    ```python
    client.feedback(trace_id, author="u-7").thumbs_down().reasons(["outdated"]).comment("Old menu.")
    ```
    """

    def __init__(
        self, send: Callable[[Fields], None], lose: Callable[[], None], shared: Fields
    ) -> None:
        """Made by `Client.feedback`; `shared` are the fields of every judgement."""
        self._send = send
        self._lose = lose
        self._shared = shared

    @guarded(_lost)
    def thumbs_up(self, *, comment: str | None = None) -> FeedbackGroup:
        """Say that the answer was good."""
        return self._give("rating", score=1.0, scale="thumbs", comment=comment)

    @guarded(_lost)
    def thumbs_down(self, *, comment: str | None = None) -> FeedbackGroup:
        """Say that the answer was bad."""
        return self._give("rating", score=0.0, scale="thumbs", comment=comment)

    @guarded(_lost)
    def rating(
        self,
        score: float,
        *,
        scale: Scale = "stars",
        name: str | None = None,
        comment: str | None = None,
    ) -> FeedbackGroup:
        """Rate: `stars` 1 to 5, `unit` 0 to 1, `thumbs` 0 or 1; `name` is what was rated."""
        return self._give("rating", name=name, score=_number(score), scale=scale, comment=comment)

    @guarded(_lost)
    def reasons(self, labels: Iterable[str], *, comment: str | None = None) -> FeedbackGroup:
        """Say what was wrong, by labels of the project's list."""
        return self._give("reasons", labels=render.as_words(labels), comment=comment)

    @guarded(_lost)
    def comment(self, text: str, *, name: str | None = None) -> FeedbackGroup:
        """Say it in words."""
        return self._give("comment", name=name, comment=text)

    @guarded(_lost)
    def correct(self, text: str, *, comment: str | None = None) -> FeedbackGroup:
        """Say what the answer should have been."""
        return self._give("correction", correction=text, comment=comment)

    @guarded(_lost)
    def annotate(
        self,
        exact: str,
        *,
        start: int,
        end: int | None = None,
        comment: str | None = None,
        replacement: str | None = None,
        tags: Iterable[str] = (),
        prefix: str = "",
        suffix: str = "",
        part: SelectorPart = "output",
        index: int | None = None,
        identifier: str | None = None,
    ) -> FeedbackGroup:
        """Highlight `exact`, which begins at code point `start` of the output.

        For a document of the context: `part="context"` and its `index`. Give an `identifier` of
        your own to change or withdraw this highlight later.
        """
        selector = {"exact": exact, "start": start, "end": start + len(exact), "part": part}
        selector.update({"end": end} if end is not None else {})
        selector.update({"index": index} if index is not None else {})
        return self._give(
            "annotation",
            identifier=identifier or new_id(),
            selector={**selector, "prefix": prefix, "suffix": suffix},
            comment=comment,
            correction=replacement,
            labels=render.as_words(tags),
        )

    @guarded(_lost)
    def implicit(self, name: str, score: float) -> FeedbackGroup:
        """Report behaviour: `copy`, `accept`, `regenerate`, `edit_distance`, `abandon`."""
        return self._give("implicit", name=name, score=_number(score))

    @guarded(_lost)
    def withdraw(
        self, kind: Kind, *, name: str | None = None, identifier: str | None = None
    ) -> FeedbackGroup:
        """Take this author's judgement of this kind back; its history stays."""
        return self._give(kind, name=name, identifier=identifier, withdrawn=True)

    def _give(self, kind: Kind, **said: object) -> FeedbackGroup:
        fields: Fields = {
            **self._shared,
            **{name: value for name, value in said.items() if value is not None},
            "id": new_id(),
            "kind": kind,
        }
        fields.setdefault("occurred_at", datetime.now(UTC))
        fields.setdefault("name", DEFAULT_NAMES.get(kind))
        self._send(fields)
        return self


def shared_fields(
    *,
    trace_id: str | None,
    span_id: str | None,
    session_id: str | None,
    author: str | None,
    source: Source,
    confidence: float | None,
    occurred_at: datetime | None,
    metadata: Mapping[str, object] | None,
) -> Fields:
    """Return what every judgement of one group says."""
    fields: Fields = {
        "trace_id": render.as_text(trace_id),
        "span_id": render.as_text(span_id),
        "session_id": render.as_text(session_id) if trace_id is None else None,
        "author": render.as_text(author),
        "source": source,
        "confidence": render.as_number(confidence),
        "occurred_at": render.as_moment(occurred_at),
        "metadata": render.as_object(metadata),
        "submission_id": new_id(),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _number(score: object) -> float:
    number = render.as_number(score)
    if number is None:
        raise ValueError("a score is a finite number")
    return number
