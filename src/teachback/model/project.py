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


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """An isolated workspace."""

    id: str
    name: str
    reasons: tuple[Reason, ...] = DEFAULT_REASONS
    metrics: tuple[Metric, ...] = DEFAULT_METRICS
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
