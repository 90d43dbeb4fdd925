"""Projects and how they judge: reasons, metrics, members and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from teachback.model.recall import Rules

KeyKind = Literal["secret", "public"]
Role = Literal["owner", "editor", "reviewer", "viewer"]
Direction = Literal["max", "min"]
Polarity = Literal["negative", "positive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One answer to "what was wrong?" (or "what was good?") that an end user can pick."""

    #: Stable word on the wire, such as `wrong_fact`.
    label: str
    #: What the end user reads.
    title: str
    polarity: Polarity = "negative"
    #: What a lesson drafted from it says; None says it as the label of the same name usually does.
    guidance: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A dimension of judgement that knows which way is better."""

    #: The `name` of the feedback that feeds it.
    name: str
    #: Whether more (`max`) or less (`min`) is better.
    optimize: Direction
    description: str = ""


#: Where a new project starts; merged from SPUR and WildFeedback's causes of dissatisfaction
#: and from what people ask such forms for.
DEFAULT_REASONS = (
    Reason(label="wrong_fact", title="Something in it is wrong"),
    Reason(label="outdated", title="Out of date"),
    Reason(label="off_topic", title="Did not answer my question"),
    Reason(label="too_vague", title="Too vague"),
    Reason(label="too_long", title="Too long"),
    Reason(label="tone", title="Unfriendly tone"),
    Reason(label="made_up", title="Made up"),
    Reason(label="did_not_work", title="The steps did not work"),
    Reason(label="refused", title="Should have helped me"),
    Reason(label="solved", title="Solved my problem", polarity="positive"),
    Reason(label="clear", title="Clear and to the point", polarity="positive"),
)

#: What a draft says after complaints with these labels: closed sentences, in which nothing that
#: an end user wrote can stand.
DEFAULT_GUIDANCE = {
    "wrong_fact": "State only what the documents given say; where they say nothing, say so.",
    "outdated": "Use the newest of the documents given, and say from when it is.",
    "off_topic": "Answer exactly what was asked, before anything else.",
    "too_vague": "Be specific: name the exact menus, values and steps, in order.",
    "too_long": "Answer in a few sentences, and leave out what was not asked.",
    "tone": "Be friendly and respectful, and take the question seriously.",
    "made_up": "Say nothing that the documents given do not say.",
    "did_not_work": "Give every step in order, and what to do when one of them does not work.",
    "refused": "Help as far as the documents given allow, before you say what you cannot do.",
}

DEFAULT_METRICS = (
    Metric(name="helpful", optimize="max", description="Rating of the whole answer"),
    Metric(
        name="edit_distance", optimize="min", description="How much of the answer was rewritten"
    ),
    Metric(name="copy", optimize="max", description="Share of the answer that was copied"),
    Metric(name="regenerate", optimize="min", description="The answer was asked for again"),
    Metric(name="abandon", optimize="min", description="The end user left without an answer"),
    Metric(name="rephrase", optimize="min", description="The question had to be asked again"),
)


def guidance_of(reason: Reason) -> str:
    """Return what a lesson drafted from this reason says; empty when it says nothing."""
    if reason.polarity == "positive":
        return ""
    known = DEFAULT_GUIDANCE.get(reason.label, "")
    return known if reason.guidance is None else reason.guidance


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """An isolated workspace."""

    id: str
    name: str
    reasons: tuple[Reason, ...] = DEFAULT_REASONS
    metrics: tuple[Metric, ...] = DEFAULT_METRICS
    #: How long what is recorded is kept; 0 is for ever.
    keep_days: int = 0
    #: How lessons are chosen and given.
    recall: Rules = field(default_factory=Rules)
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An API key; the secret itself is shown once and never kept."""

    #: Public part, inside the key's text: `tb_sk_<id>_<secret>`.
    id: str
    project_id: str
    kind: KeyKind
    name: str
    created_at: datetime
    revoked_at: datetime | None = None
    #: The member it acts for; None is an application.
    member_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A person who uses our console."""

    id: str
    email: str
    name: str
    #: Project id → role.
    roles: dict[str, Role] = field(default_factory=dict)
