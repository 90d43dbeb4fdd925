"""Accept records: one transaction that stores what is new and says what became of each.

The order inside the transaction is traces first, then feedback, so that feedback given with its
trace finds it. What is there already is looked up before; two processes that add the same record
at the same moment meet at the unique index, and the later one starts over and finds it.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from teachback.store import contents, sessions, traces, versions
from teachback.store import feedback as feedback_store
from teachback.store.database import Connection
from teachback.store.feedback import NewFeedback
from teachback.store.traces import NewTrace
from teachback.store.versions import Version

Outcome = Literal["stored", "duplicate", "conflict"]
Item = NewTrace | NewFeedback


@dataclass(slots=True)
class Known:
    """What this process has written lately, so that it need not be written again.

    Forgetting is harmless: the statements are idempotent.
    """

    #: (project id, content hash)
    contents: set[tuple[str, bytes]] = field(default_factory=set)
    #: Earliest time a version was seen by this process.
    versions: dict[Version, datetime] = field(default_factory=dict)
    limit: int = 50_000

    def trim(self) -> None:
        """Keep memory bounded."""
        if len(self.contents) > self.limit:
            self.contents.clear()
        if len(self.versions) > self.limit:
            self.versions.clear()


async def accept(connection: Connection, items: Sequence[Item], known: Known) -> list[Outcome]:
    """Store the items in the connection's transaction; return an outcome each."""
    new_traces = [item for item in items if isinstance(item, NewTrace)]
    new_feedback = [item for item in items if isinstance(item, NewFeedback)]
    outcomes = dict[int, Outcome]()
    fresh = await _accept_traces(connection, new_traces, known, outcomes) if new_traces else []
    if new_feedback:
        await _accept_feedback(connection, new_feedback, fresh, outcomes)
    return [outcomes[id(item)] for item in items]


async def _accept_traces(
    connection: Connection, items: list[NewTrace], known: Known, outcomes: dict[int, Outcome]
) -> list[NewTrace]:
    keys = [(item.project_id, item.trace.id) for item in items]
    digests = await traces.existing_digests(connection, keys)
    fresh = [
        item
        for item, key in zip(items, keys, strict=True)
        if _judge(item, key, digests, outcomes) == "stored"
    ]
    if fresh:
        await _save_contents(connection, fresh, known)
        await traces.copy_traces(connection, fresh)
        await sessions.add_turns(connection, [(item.project_id, item.trace) for item in fresh])
        await _save_versions(connection, fresh, known)
        await feedback_store.match_traces(
            connection, [(item.project_id, item.trace.id) for item in fresh]
        )
    return fresh


async def _accept_feedback(
    connection: Connection,
    items: list[NewFeedback],
    fresh_traces: list[NewTrace],
    outcomes: dict[int, Outcome],
) -> None:
    keys = [(item.project_id, item.feedback.id) for item in items]
    digests = await feedback_store.existing_digests(connection, keys)
    fresh = [
        item
        for item, key in zip(items, keys, strict=True)
        if _judge(item, key, digests, outcomes) == "stored"
    ]
    if fresh:
        await _place(connection, await _match(connection, fresh, fresh_traces))


def _judge(
    item: Item,
    key: tuple[str, str],
    digests: dict[tuple[str, str], bytes],
    outcomes: dict[int, Outcome],
) -> Outcome:
    """Decide about one item, and remember it: the same id may come twice in one batch."""
    kept = digests.get(key)
    outcome: Outcome = "stored"
    if kept is not None:
        outcome = "duplicate" if kept == item.digest else "conflict"
    digests.setdefault(key, item.digest)
    outcomes[id(item)] = outcome
    return outcome


async def _match(
    connection: Connection, items: list[NewFeedback], fresh_traces: list[NewTrace]
) -> list[NewFeedback]:
    """Mark the feedback whose target is there."""
    here = {(new.project_id, new.trace.id) for new in fresh_traces}
    asked = {
        (item.project_id, item.feedback.trace_id)
        for item in items
        if item.feedback.trace_id is not None
    }
    asked_sessions = {
        (item.project_id, item.feedback.session_id)
        for item in items
        if item.feedback.session_id is not None
    }
    if asked - here:
        here |= set(await traces.existing_digests(connection, sorted(asked - here)))
    if asked_sessions:
        found = await sessions.existing_sessions(connection, sorted(asked_sessions))
        return [replace(item, matched=_target(item) in here | found) for item in items]
    return [replace(item, matched=_target(item) in here) for item in items]


def _target(item: NewFeedback) -> tuple[str, str]:
    return item.project_id, item.feedback.trace_id or item.feedback.session_id or ""


async def _place(connection: Connection, items: list[NewFeedback]) -> None:
    """Put the latest judgement of each natural key in force, all others into the history."""
    by_key: dict[tuple[str, uuid.UUID], list[NewFeedback]] = defaultdict(list)
    for item in items:
        by_key[item.project_id, item.natural_key].append(item)
    in_force = await feedback_store.lock_current(connection, sorted(by_key))
    current: list[NewFeedback] = []
    history: list[NewFeedback] = []
    replaced: list[tuple[str, uuid.UUID]] = []
    for key, group in by_key.items():
        group.sort(key=lambda item: item.order)
        if key in in_force and group[-1].order < in_force[key]:
            history += group
            continue
        if key in in_force:
            replaced.append(key)
        current.append(group[-1])
        history += group[:-1]
    await feedback_store.retire_current(connection, replaced)
    await feedback_store.copy_current(connection, current)
    await feedback_store.copy_history(connection, history)


async def _save_contents(connection: Connection, items: list[NewTrace], known: Known) -> None:
    rows = {row[:2]: row for item in items for row in item.contents}
    unseen = [row for key, row in rows.items() if key not in known.contents]
    await contents.save_contents(connection, unseen)


async def _save_versions(connection: Connection, items: list[NewTrace], known: Known) -> None:
    earliest: dict[Version, datetime] = {}
    for item in items:
        for version in item.versions:
            at = item.trace.started_at
            if at < known.versions.get(version, _NEVER) and at < earliest.get(version, _NEVER):
                earliest[version] = at
    await versions.save_versions(connection, list(earliest.items()))


def remember(items: Sequence[Item], known: Known) -> None:
    """Note what a committed transaction has written."""
    known.trim()
    for item in items:
        if isinstance(item, NewTrace):
            known.contents.update(row[:2] for row in item.contents)
            for version in item.versions:
                at = item.trace.started_at
                known.versions[version] = min(at, known.versions.get(version, _NEVER))


_NEVER = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
