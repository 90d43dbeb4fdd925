"""A project's gate opens once its own feedback shows how sure is sure enough."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from conftest import install
from support.lessons import lesson, plant
from teachback.core.choose import ExactGate
from teachback.llm.embed import Vectors
from teachback.model.recall import Ask, Rules
from teachback.recall.calibration import Calibrating, Gates, LessonGate, find_calibrated, learn
from teachback.recall.embedding import Embedding
from teachback.recall.inject import Injector
from teachback.recall.live import Live
from teachback.store import projects
from teachback.store.calibrations import Exchange, Taught
from teachback.store.database import Database

WIDTH, TOPICS, PEOPLE = 48, 8, 30
CENTRES = np.random.default_rng(1).standard_normal((TOPICS, WIDTH))


class Topics:
    """Vectors that are near each other when the texts begin with the same number."""

    model = "topics"
    dimensions = WIDTH

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = []
        for text in texts:
            draw = np.random.default_rng(list(text.encode())).standard_normal(WIDTH)
            first = text.split()[0]
            rows.append(0.25 * draw + (CENTRES[int(first)] if first.isdigit() else draw))
        wide = np.array(rows)
        units: Vectors = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
        return units


async def _exchange(db: Database, project: str, name: str, query: str) -> None:
    now = datetime.now(UTC)
    values = {"project": project, "id": name, "query": query, "now": now}
    await db.run(
        """
        insert into trace (project_id, id, started_at, received_at, environment, user_id, query,
                           sanitized, digest)
        values (%(project)s, %(id)s, %(now)s, %(now)s, 'prod', %(id)s, %(query)s, false, '')
        """,
        values,
    )
    await db.run(
        """
        insert into feedback (project_id, id, natural_key, trace_id, kind, name, source, author,
            identifier, confidence, comment, withdrawn, negative, matched, occurred_at, received_at,
            sanitized, digest)
        values (%(project)s, %(id)s, md5(%(id)s)::uuid, %(id)s, 'rating', 'helpful', 'end_user',
            '', '', 1, null, false, true, true, %(now)s, %(now)s, false, '')
        """,
        values,
    )


@pytest.fixture
async def project_id(db: Database) -> str:
    """A project with a lesson for each topic, learned from all who complained of it."""
    made = (await install(db)).project.id
    await projects.change_rules(db, made, {"holdout": 0, "propensity": 1})
    for topic in range(TOPICS):
        for person in range(PEOPLE):
            await _exchange(db, made, f"{topic}-{person}", f"{topic} asked by {person}")
    return made


async def _learn(db: Database, project_id: str, topics: int = TOPICS) -> None:
    embedding = Embedding(Topics())
    while await embedding(db):
        pass
    await plant(
        db, project_id,
        *(
            lesson(f"l{topic}", situation=f"{topic} in general", project_id=project_id,
                   text=f"About {topic}.",
                   provenance=tuple(f"{topic}-{person}" for person in range(PEOPLE)))
            for topic in range(topics)
        ),
    )  # fmt: skip


@pytest.mark.anyio
async def test_a_gate_opens_by_feedback_alone(db: Database, dsn: str, project_id: str) -> None:
    """Another question on a topic gets its lesson, one on nothing known gets none."""
    await _learn(db, project_id)
    calibrate = Calibrating("topics")
    assert isinstance(await Gates(db, "topics")(project_id), ExactGate)
    assert [await calibrate(db), await calibrate(db)] == [1, 0]
    found = await find_calibrated(db, project_id, "topics", Rules())
    assert found is not None
    assert found.stored.queries == TOPICS * PEOPLE
    assert found.step is not None
    assert found.step.answered > 0.9 * TOPICS * PEOPLE
    gates = Gates(db, "topics")
    assert isinstance(await gates(project_id), ExactGate)  # nobody waits for it
    await gates.settled()
    assert isinstance(await gates(project_id), LessonGate)
    vector = Topics().embed(["3 again"])[0]
    live = Live(db, Topics(), dsn=dsn, gates=gates)
    injector = Injector(db, live, Topics())
    async with asyncio.timeout(30):
        while not (await live.get(project_id)).nearest.matches(Ask(query="3 again"), vector):  # noqa: ASYNC110 - vectors come late
            await asyncio.sleep(0.02)
    for query, expected in (("3 by somebody new", ["l3"]), ("weather today", [])):
        _, considered = await injector.consider(project_id, Ask(query=query))
        assert [one.lesson.id for one in considered if one.position is not None] == expected
    await live.stop()


@pytest.mark.anyio
async def test_a_stricter_bound_shuts_the_gate_at_once(db: Database, project_id: str) -> None:
    """The curve is kept; the bound is the project's."""
    await _learn(db, project_id)
    await Calibrating("topics")(db)
    await projects.change_rules(db, project_id, {"bound": 0.005})
    found = await find_calibrated(
        db, project_id, "topics", await projects.get_rules(db, project_id)
    )
    assert found is not None
    assert found.step is None
    assert not found.gate.is_open
    assert isinstance(await Gates(db, "topics")(project_id), ExactGate)


@pytest.mark.anyio
async def test_what_no_lesson_was_learned_from_counts_as_wrong(
    db: Database, project_id: str
) -> None:
    """Half of the topics have no lesson: their queries may be given nothing."""
    await _learn(db, project_id, topics=TOPICS // 2)
    await Calibrating("topics")(db)
    found = await find_calibrated(db, project_id, "topics", Rules())
    assert found is not None
    assert found.step is not None
    assert found.step.answered <= 0.55 * TOPICS * PEOPLE


def test_lessons_for_one_situation_or_exchange_are_of_one_problem() -> None:
    """Guidance and an example for the same thing do not compete with each other."""
    vector = np.ones(2, np.float32)

    def exchange(name: str, owner: str) -> Exchange:
        return Exchange(name, f"query {name}", owner, vector)

    learned = learn([
        Taught(lesson_id="a", situation="Refunds", vector=vector, exchanges=()),
        Taught(lesson_id="b", situation="refunds?", vector=vector,
               exchanges=(exchange("t1", "u"),)),
        Taught(lesson_id="c", situation="Else", vector=None,
               exchanges=(exchange("t1", "u"), exchange("t2", "v"))),
        Taught(lesson_id="d", situation="Parcels", vector=vector, exchanges=()),
    ])  # fmt: skip
    assert learned.problems == {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert learned.taught == {"t1": frozenset({"a"}), "t2": frozenset({"a"})}
    # What one end user alone has given rise to is theirs.
    assert {(item.text, item.user) for item in learned.items} == {
        ("Refunds", None), ("refunds?", "u"), ("query t1", "u"), ("query t2", "v"),
        ("Parcels", None),
    }  # fmt: skip
