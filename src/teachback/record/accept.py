"""Accept records: one transaction that stores what is new and says what became of each.

The order inside the transaction is traces first, then feedback, so that feedback given with its
trace finds it. What is there already is looked up before; two processes that add the same record
at the same moment meet at the unique index, and the later one starts over and finds it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from teachback.store import contents, search, sessions, traces, trends, versions
from teachback.store import feedback as feedback_store
from teachback.store.copy import AddRows, copy_rows, insert_rows
from teachback.store.database import Connection
from teachback.store.feedback import NewFeedback, Present
from teachback.store.places import Place, ask_places, read_places
from teachback.store.traces import Kept, NewTrace
from teachback.store.versions import Version

#: Seconds.
DAY_S = 86_400.0
#: Up to so many items are added by INSERT within the round trip that completes them: measured,
#: COPY's round trips cost more than its cheaper rows save.
FEW = 64

Outcome = Literal["stored", "duplicate", "conflict"]
Item = NewTrace | NewFeedback


@dataclass(slots=True)
class Known:
    """What this process has written lately, so that it need not be written again.

    Forgetting is harmless: the statements are idempotent.
    """

    #: (project id, content hash) of texts that are kept.
    contents: set[tuple[str, bytes]] = field(default_factory=set)
    #: The same of texts that traces named without bringing them.
    named: set[tuple[str, bytes]] = field(default_factory=set)
    #: Earliest time a version was seen by this process.
    versions: dict[Version, datetime] = field(default_factory=dict)
    places: dict[Place, int] = field(default_factory=dict)
    limit: int = 50_000
    #: When texts were forgotten last. Daily, so that retention learns which are in use.
    since: float = field(default_factory=time.monotonic)

    def absorb(self, written: Known) -> None:
        """Note what a committed transaction has written; memory stays bounded."""
        aged = time.monotonic() - self.since > DAY_S
        if aged or len(self.contents) + len(self.named) > self.limit:
            self.contents.clear()
            self.named.clear()
            self.since = time.monotonic()
        if len(self.versions) > self.limit:
            self.versions.clear()
        if len(self.places) > self.limit:
            self.places.clear()
        self.contents |= written.contents
        self.named |= written.named
        self.versions |= written.versions
        self.places |= written.places


@dataclass(slots=True)
class Accepted:
    """What became of a transaction's items; true once it is committed."""

    outcomes: list[Outcome]
    #: Shared texts and versions that it wrote.
    written: Known


async def accept(connection: Connection, items: Sequence[Item], known: Known) -> Accepted:
    """Store the items in the connection's transaction, and commit it.

    Look up, add, complete and commit. A few items take two round trips in all; many are added by
    COPY, which takes round trips of its own and less for each row.
    """
    traces_ = [item for item in items if isinstance(item, NewTrace)]
    feedback = [item for item in items if isinstance(item, NewFeedback)]
    there = await _look_up(connection, traces_, feedback, known)
    outcomes: dict[int, Outcome] = {}
    fresh_traces = [item for item in traces_ if _is_fresh(item, there.traces.digests, outcomes)]
    fresh = [item for item in feedback if _is_fresh(item, there.feedback.digests, outcomes)]
    _match(fresh, traces_, there)
    written = Known(places=there.new_places)
    few = len(items) <= FEW
    if not few:
        await _add(connection, fresh_traces, fresh, there, copy_rows)
    async with connection.pipeline():
        if few:
            await _add(connection, fresh_traces, fresh, there, insert_rows)
        await _complete(connection, fresh_traces, fresh, known, written)
        # As a statement: psycopg's own commit waits for its answer before all is sent, and where
        # megabytes are under way neither side ever goes on.
        await connection.execute("commit")
    return Accepted([outcomes[id(item)] for item in items], written)


@dataclass(slots=True)
class _There:
    """What the store holds already of a transaction's items and their targets."""

    traces: Kept
    sessions: set[tuple[str, str]]
    feedback: Present
    #: Of all new traces, and those among them that this process did not know.
    places: dict[Place, int]
    new_places: dict[Place, int]


async def _look_up(
    connection: Connection,
    new_traces: list[NewTrace],
    feedback: list[NewFeedback],
    already: Known,
) -> _There:
    on_traces = {_target(item) for item in feedback if item.feedback.trace_id is not None}
    on_sessions = {_target(item) for item in feedback if item.feedback.trace_id is None}
    wanted = on_traces | {(item.project_id, item.id) for item in new_traces}
    places = {new.place for new in new_traces}
    unknown = places - already.places.keys()
    async with connection.pipeline():
        kept = await traces.ask_kept(connection, sorted(wanted)) if wanted else None
        present = await feedback_store.ask_present(connection, feedback) if feedback else None
        known = await sessions.ask_known(connection, sorted(on_sessions)) if on_sessions else None
        placed = await ask_places(connection, unknown) if unknown else None
    new_places = await read_places(placed) if placed else {}
    return _There(
        await traces.read_kept(kept) if kept else Kept({}, {}),
        await sessions.read_known(known) if known else set(),
        await feedback_store.read_present(present) if present else Present({}, {}),
        {place: already.places[place] for place in places - unknown} | new_places,
        new_places,
    )


async def _add(
    connection: Connection,
    new_traces: list[NewTrace],
    feedback: list[NewFeedback],
    there: _There,
    add: AddRows,
) -> None:
    if new_traces:
        await traces.add_traces(connection, new_traces, there.places, add)
    if feedback:
        await _place(connection, feedback, there.feedback.in_force, add)


async def _complete(
    connection: Connection,
    new_traces: list[NewTrace],
    feedback: list[NewFeedback],
    known: Known,
    written: Known,
) -> None:
    """Add what follows from the records, and note what was written."""
    judged = _judged(feedback)
    await search.mark_waiting(connection, sorted(judged))
    here = {(new.project_id, new.id) for new in new_traces}
    await trends.mark_dirty(
        connection,
        [(new.project_id, new.trace.started_at) for new in new_traces],
        sorted(judged - here),
    )
    if new_traces:
        await _save_contents(connection, new_traces, known, written)
        await sessions.add_turns(connection, [(new.project_id, new.trace) for new in new_traces])
        await _save_versions(connection, new_traces, known, written)
        keys = [(new.project_id, new.id) for new in new_traces]
        await feedback_store.match_traces(connection, keys)
        begun = {(new.project_id, new.trace.session_id) for new in new_traces}
        await feedback_store.match_sessions(
            connection, sorted((project, name) for project, name in begun if name is not None)
        )


def _judged(feedback: list[NewFeedback]) -> set[tuple[str, str]]:
    """Return the traces on which something was said."""
    return {
        (item.project_id, item.feedback.trace_id)
        for item in feedback
        if item.feedback.trace_id is not None
    }


def _is_fresh(
    item: Item, digests: dict[tuple[str, str], bytes], outcomes: dict[int, Outcome]
) -> bool:
    return _judge(item, (item.project_id, item.id), digests, outcomes) == "stored"


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


def _match(fresh: list[NewFeedback], new_traces: list[NewTrace], there: _There) -> None:
    """Mark the feedback whose target is there, or comes with it."""
    here = {(new.project_id, new.id): there.places[new.place] for new in new_traces}
    here |= there.traces.places
    for item in fresh:
        target = _target(item)
        if item.feedback.trace_id is None:
            item.matched = target in there.sessions
        elif target in here:
            item.matched, item.place_id = True, here[target]


def _target(item: NewFeedback) -> tuple[str, str]:
    return item.project_id, item.feedback.trace_id or item.feedback.session_id or ""


async def _place(
    connection: Connection,
    items: list[NewFeedback],
    in_force: dict[tuple[str, str], tuple[datetime, str]],
    add: AddRows,
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
    await feedback_store.add_current(connection, current, add)
    await feedback_store.add_history(connection, history, add)


async def _save_contents(
    connection: Connection, items: list[NewTrace], known: Known, written: Known
) -> None:
    unseen: list[tuple[str, bytes, str]] = []
    for new in items:
        for item, digest in zip(new.trace.context, new.hashes, strict=True):
            key = (new.project_id, digest)
            if key in known.contents or key in written.contents:
                continue
            if item.content is not None:
                written.contents.add(key)
                unseen.append((*key, item.content))
            elif key not in known.named:
                written.named.add(key)
    await contents.save_contents(connection, unseen)
    await contents.note_use(connection, written.named)


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
