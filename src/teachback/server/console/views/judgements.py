"""How one feedback reads: its mark, its sentence and its tone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from teachback.model.feedback import DEFAULT_NAMES, Feedback, Kind, Source
from teachback.model.project import Reason
from teachback.server.console.views.formats import duration, number, percent, plural

Tone = Literal["negative", "positive", "neutral"]

KIND_TITLES: dict[Kind, str] = {
    "rating": "Rating",
    "reasons": "Reasons",
    "comment": "Comment",
    "correction": "Correction",
    "annotation": "Annotation",
    "implicit": "Behaviour",
}

SOURCE_TITLES: dict[Source, str] = {
    "end_user": "End user",
    "reviewer": "Reviewer",
    "evaluator": "Evaluator",
    "judge": "Judge",
    "detector": "Detector",
}

#: Behaviours that speak for the answer.
GOOD_BEHAVIOUR = {"copy", "accept"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelView:
    """One reason or tag."""

    title: str
    label: str
    tone: Tone


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackView:
    """One feedback as it stands on a page, in a list or on a trail."""

    id: str
    kind: Kind
    kind_title: str
    icon: str
    tone: Tone
    #: What it says in a few words: "Not helpful", "Copied 80% of the answer".
    headline: str
    name: str
    labels: tuple[LabelView, ...]
    #: Filled stars of five, for a rating in stars.
    stars: int | None
    comment: str | None
    correction: str | None
    #: The text an annotation is about.
    quote: str | None
    author: str
    source: str
    confidence: str | None
    occurred_at: datetime
    withdrawn: bool


def feedback_view(
    feedback: Feedback, reasons: Mapping[str, Reason], *, negative: bool = False
) -> FeedbackView:
    """Describe a feedback.

    `reasons` are the project's, by label; `negative` is how the record was judged on arrival.
    """
    labels = tuple(_label(label, reasons) for label in feedback.labels)
    return FeedbackView(
        id=feedback.id,
        kind=feedback.kind,
        kind_title=KIND_TITLES[feedback.kind],
        icon=_icon(feedback),
        tone=_tone(feedback, labels, negative=negative),
        headline=_headline(feedback),
        name=feedback.name,
        labels=labels,
        stars=_stars(feedback),
        comment=feedback.comment,
        correction=feedback.correction,
        quote=feedback.selector.exact if feedback.selector else None,
        author=feedback.author,
        source=SOURCE_TITLES[feedback.source],
        confidence=percent(feedback.confidence) if feedback.confidence < 1 else None,
        occurred_at=feedback.occurred_at,
        withdrawn=feedback.withdrawn,
    )


def reasons_by_label(reasons: Sequence[Reason]) -> dict[str, Reason]:
    """Return a project's reasons by the word on the wire."""
    return {reason.label: reason for reason in reasons}


def _label(label: str, reasons: Mapping[str, Reason]) -> LabelView:
    """Name a label as the project does; one that is not in its list keeps its own word."""
    reason = reasons.get(label)
    if reason is None:
        return LabelView(title=label, label=label, tone="neutral")
    return LabelView(title=reason.title, label=label, tone=reason.polarity)


def _tone(feedback: Feedback, labels: Sequence[LabelView], *, negative: bool) -> Tone:
    if feedback.withdrawn:
        return "neutral"
    # The tags of an annotation only name it; reasons are a verdict.
    tones = {label.tone for label in labels} if feedback.kind == "reasons" else set()
    if negative or feedback.is_negative or "negative" in tones:
        return "negative"
    return "positive" if "positive" in tones or _is_positive(feedback) else "neutral"


def _is_positive(feedback: Feedback) -> bool:
    if feedback.kind == "implicit":
        return feedback.name in GOOD_BEHAVIOUR and bool(feedback.score)
    # Three stars of five are neither good nor bad.
    return feedback.kind == "rating" and not (feedback.scale == "stars" and feedback.score == 3)


def _icon(feedback: Feedback) -> str:
    if feedback.kind != "rating":
        return feedback.kind
    if feedback.scale == "stars":
        return "star"
    return "thumb-down" if feedback.is_negative else "thumb-up"


def _stars(feedback: Feedback) -> int | None:
    if feedback.kind != "rating" or feedback.scale != "stars" or feedback.score is None:
        return None
    return round(feedback.score)


def _headline(feedback: Feedback) -> str:
    match feedback.kind:
        case "rating":
            return _rating(feedback)
        case "implicit":
            return _behaviour(feedback.name, feedback.score)
        case "correction":
            return "Should have said"
        case "annotation":
            return "Suggested a change" if feedback.correction is not None else "Highlighted"
        case "reasons":
            return "Gave reasons" if feedback.labels else "No reason chosen"
        case "comment":
            return "Commented"


def _rating(feedback: Feedback) -> str:
    if feedback.score is None:
        return "No rating"
    word = feedback.name.replace("_", " ")
    if feedback.scale == "thumbs":
        return word.capitalize() if feedback.score >= 0.5 else f"Not {word}"
    judged = "" if feedback.name == DEFAULT_NAMES["rating"] else f"{word.capitalize()}: "
    most = "5 stars" if feedback.scale == "stars" else "1"
    return f"{judged}{number(feedback.score)} of {most}"


def _behaviour(name: str, score: float | None) -> str:
    """Say in a sentence what an implicit feedback reports."""
    value = score or 0
    sentences = {
        "copy": f"Copied {percent(value)} of the answer",
        "accept": "Took the answer over as it was" if value else "Did not take the answer over",
        "regenerate": f"Asked for another answer {plural(round(value), 'time')}",
        "edit_distance": f"Rewrote {percent(value)} of the answer before use",
        "abandon": "Left without an answer" if value else "Stayed until answered",
        "rephrase": "Asked the same again in other words" if value else "Did not have to ask again",
        "dwell": f"Kept the answer in view for {duration(value)}",
    }
    return sentences.get(name, f"{name}: {number(value)}")
