"""Accept records: one transaction that stores what is new and says what became of each.

The order inside the transaction is traces first, then feedback, so that feedback given with its
trace finds it. What is there already is looked up before; two processes that add the same record
at the same moment meet at the unique index, and the later one starts over and finds it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
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

    def absorb(self, written: Known) -> None:
        """Note what a committed transaction has written; memory stays bounded."""
        if len(self.contents) > self.limit:
            self.contents.clear()
        if len(self.versions) > self.limit:
            self.versions.clear()
        self.contents |= written.contents
        self.versions |= written.versions


@dataclass(slots=True)
class Accepted:
    """What became of a transaction's items; true once it is committed."""

    outcomes: list[Outcome]
    #: Shared texts and versions that it wrote.
    written: Known


async def accept(connection: Connection, items: Sequence[Item], known: Known) -> Accepted:
    """Store the items in the connection's transaction."""
    new_traces = [item for item in items if isinstance(item, NewTrace)]
    new_feedback = [item for item in items if isinstance(item, NewFeedback)]
    outcomes: dict[int, Outcome] = {}
    written = Known()
    fresh = await _fresh_traces(connection, new_traces, outcomes)
    if fresh:
        await _save_traces(connection, fresh, known, written)
    if new_feedback:
        await _accept_feedback(connection, new_feedback, fresh, outcomes)
    return Accepted([outcomes[id(item)] for item in items], written)


async def _fresh_traces(
    connection: Connection, items: list[NewTrace], outcomes: dict[int, Outcome]
) -> list[NewTrace]:
    keys = [(item.project_id, item.id) for item in items]
    digests = await traces.existing_digests(connection, keys) if keys else {}
    return [
        item
        for item, key in zip(items, keys, strict=True)
        if _judge(item, key, digests, outcomes) == "stored"
    ]


async def _save_traces(
    connection: Connection, items: list[NewTrace], known: Known, written: Known
) -> None:
    await _save_contents(connection, items, known, written)
    await traces.copy_traces(connection, items)
    await sessions.add_turns(connection, [(item.project_id, item.trace) for item in items])
    await _save_versions(connection, items, known, written)
    await feedback_store.match_traces(connection, [(item.project_id, item.id) for item in items])


async def _accept_feedback(
    connection: Connection,
    items: list[NewFeedback],
    fresh_traces: list[NewTrace],
    outcomes: dict[int, Outcome],
) -> None:
    present = await feedback_store.find_present(connection, items)
    fresh = [
        item
        for item in items
        if _judge(item, (item.project_id, item.id), present.digests, outcomes) == "stored"
    ]
    if fresh:
        await _match(connection, fresh, fresh_traces)
        await _place(connection, fresh, present.in_force)


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
) -> None:
    """Mark the feedback whose target is there."""
    here = {(new.project_id, new.id) for new in fresh_traces}
    waiting = {_target(item) for item in items} - here
    on_traces = sorted({_target(i) for i in items if i.feedback.trace_id is not None} & waiting)
    on_sessions = sorted({_target(i) for i in items if i.feedback.trace_id is None} & waiting)
    if on_traces:
        here |= set(await traces.existing_digests(connection, on_traces))
    found = await sessions.existing_sessions(connection, on_sessions) if on_sessions else set()
    for item in items:
        item.matched = _target(item) in (here if item.feedback.trace_id is not None else found)


def _target(item: NewFeedback) -> tuple[str, str]:
    return item.project_id, item.feedback.trace_id or item.feedback.session_id or ""


async def _place(
    connection: Connection,
    items: list[NewFeedback],
    in_force: dict[tuple[str, str], tuple[datetime, str]],
) -> None:
    """Put the latest judgement of each natural key in force, all others into the history."""
    by_key: dict[tuple[str, str], list[NewFeedback]] = defaultdict(list)
    for item in items:
        by_key[item.project_id, item.natural_key].append(item)
    current: list[NewFeedback] = []
    history: list[NewFeedback] = []
    replaced: list[tuple[str, str]] = []
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


async def _save_contents(
    connection: Connection, items: list[NewTrace], known: Known, written: Known
) -> None:
    unseen: list[tuple[str, bytes, str]] = []
    for new in items:
        for item, digest in zip(new.trace.context, new.hashes, strict=True):
            key = (new.project_id, digest)
            if item.content is None or key in known.contents or key in written.contents:
                continue
            written.contents.add(key)
            unseen.append((*key, item.content))
    await contents.save_contents(connection, unseen)


async def _save_versions(
    connection: Connection, items: list[NewTrace], known: Known, written: Known
) -> None:
    for new in items:
        at = new.trace.started_at
        for version in new.versions:
            if at < min(known.versions.get(version, _NEVER), written.versions.get(version, _NEVER)):
                written.versions[version] = at
    await versions.save_versions(connection, list(written.versions.items()))


_NEVER = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
