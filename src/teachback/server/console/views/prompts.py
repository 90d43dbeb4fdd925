"""Versions of a prompt as pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from teachback.model.prompt import LABELS, PromptEvent, PromptState, PromptVersion
from teachback.server.console.render import path_of
from teachback.server.console.views.lessons import STATE_TONES, EventView


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionView:
    """One version in the list beside the text."""

    version: int
    href: str
    state: PromptState
    #: `production` or `canary` for the served ones, else the state.
    label: str
    tone: str
    author: str
    reason: str
    created_at: datetime


def version_views(versions: Sequence[PromptVersion]) -> tuple[VersionView, ...]:
    """Describe the versions of a prompt, newest first."""
    return tuple(
        VersionView(
            version=one.version,
            href=f"{path_of('prompts', one.name)}?version={one.version}",
            state=one.state,
            label=LABELS.get(one.state, one.state),
            tone=STATE_TONES[one.state],
            author=one.author,
            reason=one.reason,
            created_at=one.created_at,
        )
        for one in versions
    )


def event_view(event: PromptEvent) -> EventView:
    """Describe a step of a prompt's history."""
    title = {
        "drafted": f"Wrote version {event.version}",
        "approved": f"Approved version {event.version}",
        "moved": f"Moved version {event.version} from {event.from_state} to {event.to_state}",
        "replaced": f"Version {event.version} stands by",
    }[event.action]
    return EventView(
        title=title, actor=event.actor.name, by_member=event.actor.kind == "member",
        reason=event.reason, at=event.at,
    )  # fmt: skip
