"""What a record must satisfy beyond its shape, and what follows from it."""

from __future__ import annotations

import hashlib

import msgspec

from teachback.errors import Invalid
from teachback.model.feedback import IMPLICIT_NAMES, SCALES, Feedback
from teachback.model.project import Project
from teachback.model.trace import Trace


def check_trace(trace: Trace) -> None:
    """Raise Invalid when a trace contradicts itself."""
    seen: set[str] = set()
    for span in trace.spans:
        if span.id in seen:
            raise Invalid(
                "spans", value=span.id, rule="a span id may stand in a trace only once",
                fix="Give every span its own id",
            )  # fmt: skip
        seen.add(span.id)
    for position, item in enumerate(trace.context):
        if item.content is None and item.content_hash is None:
            raise Invalid(
                f"context[{position}]", rule="a context item has content or content_hash",
                fix="Send the text, or the sha256 of a text sent before",
            )  # fmt: skip


def check_feedback(feedback: Feedback, project: Project) -> None:
    """Raise Invalid when a feedback has no target, or lacks what its kind needs."""
    _check_target(feedback)
    if feedback.kind == "implicit":
        _check_implicit_name(feedback)
    if not feedback.withdrawn:
        _CHECKS[feedback.kind](feedback, project)


def is_negative(feedback: Feedback, project: Project) -> bool:
    """Tell whether the feedback says that something was wrong, by the project's reasons too."""
    if feedback.kind == "reasons" and not feedback.withdrawn:
        negative = {reason.label for reason in project.reasons if reason.polarity == "negative"}
        return any(label in negative for label in feedback.labels)
    return feedback.is_negative


def natural_key(feedback: Feedback) -> str:
    """Return the 128-bit hash of (target, kind, name, author, identifier) in hexadecimal."""
    parts = (
        feedback.target_type, feedback.trace_id, feedback.span_id, feedback.session_id,
        feedback.kind, feedback.name, feedback.author, feedback.identifier,
    )  # fmt: skip
    # As JSON, so that ("ab", "c") and ("a", "bc") differ.
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()


def _check_target(feedback: Feedback) -> None:
    on_trace, on_session = feedback.trace_id is not None, feedback.session_id is not None
    if on_trace == on_session or (feedback.span_id is not None and not on_trace):
        raise Invalid(
            "trace_id",
            rule="feedback has exactly one target: a trace, a span of a trace, or a session",
            fix="Send trace_id, trace_id with span_id, or session_id",
        )


def _check_implicit_name(feedback: Feedback) -> None:
    if feedback.name not in IMPLICIT_NAMES:
        raise Invalid(
            "name", value=feedback.name, rule="implicit feedback is named for a known behaviour",
            fix=f"Send one of {', '.join(IMPLICIT_NAMES)}",
        )  # fmt: skip


def _check_rating(feedback: Feedback, _: Project) -> None:
    if feedback.score is None or feedback.scale is None:
        raise Invalid(
            "score" if feedback.score is None else "scale",
            rule="a rating has a score and the scale it is on",
            fix="Send score, and scale thumbs, stars or unit",
        )
    low, high = SCALES[feedback.scale]
    whole = feedback.scale == "unit" or feedback.score == int(feedback.score)
    if not low <= feedback.score <= high or not whole:
        values = {"thumbs": "0 or 1", "stars": "1, 2, 3, 4 or 5", "unit": "0 to 1"}
        raise Invalid(
            "score", value=feedback.score, rule=f"a rating on the scale '{feedback.scale}' is "
            f"{values[feedback.scale]}", fix="Send such a score, or name the scale it is on",
        )  # fmt: skip


def _check_reasons(feedback: Feedback, project: Project) -> None:
    known = [reason.label for reason in project.reasons]
    for label in feedback.labels:
        if label not in known:
            raise Invalid(
                "labels", value=label, rule="a reason is one of the project's list",
                fix=f"Send one of {', '.join(known)}, or add it to the project's reasons",
            )  # fmt: skip
    if not feedback.labels:
        raise Invalid("labels", rule="reasons has at least one label", fix="Send one")


def _check_comment(feedback: Feedback, _: Project) -> None:
    if not feedback.comment:
        raise Invalid("comment", rule="a comment has words", fix="Send them in `comment`")


def _check_correction(feedback: Feedback, _: Project) -> None:
    if feedback.correction is None:
        raise Invalid(
            "correction", rule="a correction says what the output should have said",
            fix="Send the whole better answer in `correction`",
        )  # fmt: skip


def _check_annotation(feedback: Feedback, _: Project) -> None:
    selector = feedback.selector
    if selector is None:
        raise Invalid("selector", rule="an annotation stands somewhere", fix="Send `selector`")
    if selector.end - selector.start != len(selector.exact):
        raise Invalid(
            "selector.end", value=selector.end,
            rule="end - start is the length of exact in Unicode code points, "
            f"here {len(selector.exact)}",
            fix="Count code points, not UTF-16 units or bytes",
        )  # fmt: skip
    if selector.part == "context" and selector.index is None:
        raise Invalid(
            "selector.index", rule="an annotation on the context names the item",
            fix="Send the position in the trace's context, from 0",
        )  # fmt: skip
    if feedback.correction is None and not feedback.comment and not feedback.labels:
        raise Invalid(
            "comment", rule="an annotation says something about its text",
            fix="Send a comment, a correction or labels",
        )  # fmt: skip


def _check_implicit(feedback: Feedback, _: Project) -> None:
    bounded = feedback.name in ("copy", "edit_distance")
    if feedback.score is not None and (feedback.score < 0 or (bounded and feedback.score > 1)):
        raise Invalid(
            "score", value=feedback.score,
            rule=f"the score of '{feedback.name}' is: {IMPLICIT_NAMES[feedback.name]}",
            fix="Send a score within these bounds",
        )  # fmt: skip


_CHECKS = {
    "rating": _check_rating,
    "reasons": _check_reasons,
    "comment": _check_comment,
    "correction": _check_correction,
    "annotation": _check_annotation,
    "implicit": _check_implicit,
}
