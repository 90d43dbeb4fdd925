"""Who comes when: thirty days of visits with their weekly rhythm, and the visits of right now."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from teachback.demo.assistant import Assistant
from teachback.demo.people import Person, draw_people, some
from teachback.demo.questions import Question, Truths
from teachback.demo.visit import Desk, Visit
from teachback.demo.voice import Voice
from teachback.demo.world import World

DAYS = 30
#: Visits of thirty days; with rephrasing they make about 1,850 traces.
VISITS = 900
#: End users who come; each about three times.
PEOPLE = 220
#: Nobody comes so late that their visit is not over by now.
LEAVING = dt.timedelta(minutes=20)

#: Traffic of a weekday beside others, from Monday.
_WEEK = (1.15, 1.1, 1.05, 1.0, 0.85, 0.3, 0.25)
#: Traffic of each hour of a day, in UTC.
_HOURS = (1, 1, 1, 1, 1, 2, 5, 12, 22, 28, 27, 22, 15, 20, 25, 24, 20, 14, 9, 8, 8, 6, 3, 2)
#: Needs per visit, one to four, and their weights.
_NEEDS, _NEED_WEIGHTS = (1, 2, 3, 4), (3, 4, 2, 1)


class Traffic:
    """Visits to the help page of one world."""

    def __init__(self, world: World, *, salt: str = "") -> None:
        """Draw the people of a world; `salt` makes other visits of the same people."""
        self._world = world
        people = random.Random(f"people {world.seed}")
        self._rng = random.Random(f"traffic {world.seed} {salt}")
        self._voice = Voice(self._rng)
        self._people = draw_people(people, PEOPLE)

    def past(self, now: dt.datetime, *, visits: int = VISITS) -> Iterator[Visit]:
        """Yield the visits of the thirty days before now, by time of arrival."""
        start = now - dt.timedelta(days=DAYS)
        arrivals = sorted(self._arrival(start, now - LEAVING) for _ in range(visits))
        for at in arrivals:
            yield self._visit(at, day=(at - start).days)

    def next(self, at: dt.datetime) -> Visit:
        """Return a visit of right now."""
        return self._visit(at, day=DAYS)

    def _arrival(self, start: dt.datetime, end: dt.datetime) -> dt.datetime:
        """Draw days by their weekday and hours by the time of day until one lies between."""
        dates = [start + dt.timedelta(days=day) for day in range(DAYS + 1)]
        weights = [_WEEK[date.weekday()] for date in dates]
        while True:
            midnight = some(self._rng, dates, weights).replace(hour=0, minute=0, second=0)
            hours = some(self._rng, range(24), _HOURS) + self._rng.random()
            at = midnight + dt.timedelta(hours=hours)
            if start <= at <= end:
                return at

    def _visit(self, at: dt.datetime, *, day: int) -> Visit:
        rng = self._rng
        person = rng.choice(self._people)
        if rng.random() < 0.1:  # somebody on another device today
            person = replace(person, surface="mobile app")
        assistant, truths = self._open(max(each for each in self._turns() if each <= day))
        return Visit(
            desk=Desk(assistant=assistant, truths=truths, voice=self._voice, rng=rng),
            person=person,
            questions=self._needs(person),
            session_id=f"visit-{int(at.timestamp()):08x}{rng.getrandbits(32):08x}",
            at=at,
        )

    def _needs(self, person: Person) -> list[Question]:
        known = [each for each in self._world.questions if each.speaks(person.locale)]
        count = some(self._rng, _NEEDS, _NEED_WEIGHTS)
        chosen = self._rng.choices(known, [each.weight for each in known], k=count)
        return list({each.id: each for each in chosen}.values())

    def _turns(self) -> list[int]:
        """Days from which on the application is another."""
        return [0, *(flaw.starts_day for flaw in self._world.flaws)]

    @cache  # noqa: B019 - a traffic lives as long as the demo
    def _open(self, day: int) -> tuple[Assistant, Truths]:
        return Assistant(self._world.library(day=day)), self._world.truths(day=day)
