"""Simulated end users speak in all six ways, mostly say nothing, and are content when served."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import replace

from teachback.demo.people import draw_people
from teachback.demo.traffic import Traffic
from teachback.demo.verdict import judge
from teachback.demo.visit import Event, Given, Turn
from teachback.demo.voice import Voice
from teachback.demo.world import World, draw

NOW = dt.datetime(2026, 9, 30, 12, tzinfo=dt.UTC)


def events(world: World, *, visits: int = 900) -> list[Event]:
    return [each for visit in Traffic(world).past(NOW, visits=visits) for each in visit.events()]


HISTORY = events(draw(7))
TURNS = [each for each in HISTORY if isinstance(each, Turn)]
GIVEN = [each for each in HISTORY if isinstance(each, Given)]
SAID = [said for given in GIVEN for said in given.judgements]


def test_the_same_history_comes_when_the_seed_is_the_same() -> None:
    """A seed stands for one month, to the word."""
    one, other = (
        [(each.query, each.at) for each in events(draw(3), visits=40) if isinstance(each, Turn)]
        for _ in range(2)
    )
    assert one == other


def test_all_six_kinds_occur_at_believable_rates() -> None:
    """Most say nothing; a few in a hundred use a thumb; the rest is rarer, behaviour is common."""
    kinds = Counter(said.kind for said in SAID)
    share = {kind: count / len(TURNS) for kind, count in kinds.items()}
    assert 0.02 < share["rating"] < 0.09
    for kind in ("reasons", "comment", "correction", "annotation"):
        assert 0.003 < share[kind] < share["rating"]
    assert share["implicit"] > share["rating"]
    explicit = {
        given.turn for given in GIVEN if any(s.kind != "implicit" for s in given.judgements)
    }
    assert len(explicit) < 0.15 * len(TURNS)


def test_behaviour_shows_in_many_ways() -> None:
    """People copy, take over, edit, ask again, rephrase, read and leave."""
    shown = {said.name for said in SAID if said.kind == "implicit"}
    assert shown == {
        "copy", "accept", "regenerate", "edit_distance", "abandon", "rephrase", "dwell",
    }  # fmt: skip


def test_some_thumbs_are_turned_and_some_taken_back() -> None:
    """Slips happen, so that histories have something to show."""
    assert any(said.is_withdrawn for said in SAID)
    thumbs = Counter(
        (given.session_id, given.turn.place)
        for given in GIVEN
        if given.turn and any(s.kind == "rating" and not s.is_withdrawn for s in given.judgements)
    )
    assert max(thumbs.values()) == 2


def test_hardly_two_questions_are_the_same() -> None:
    """People ask in their own words."""
    assert len({turn.query for turn in TURNS}) > 0.97 * len(TURNS)


def test_the_month_is_full_and_has_its_weeks() -> None:
    """About two thousand traces; weekends are quiet; nothing lies outside the thirty days."""
    assert 1500 <= len(TURNS) <= 2500
    days = Counter(turn.at.weekday() for turn in TURNS)
    assert max(days[5], days[6]) < 0.5 * min(days[day] for day in range(4))
    assert min(turn.at for turn in TURNS) >= NOW - dt.timedelta(days=30)


def test_versions_change_within_the_month() -> None:
    """Release, prompt and a document each have two versions in the history."""
    layers = [layer for turn in TURNS for layer in turn.reply.given]
    prompts = {layer.version for layer in layers if layer.kind == "system_prompt"}
    documents = Counter(
        name for name, _ in {(g.name, g.version) for g in layers if g.kind == "document"}
    )
    releases = {visit.release for visit in Traffic(draw(7)).past(NOW, visits=200)}
    assert (len(prompts), len(releases), max(documents.values())) == (2, 2, 2)


def test_people_complain_far_less_when_the_flaws_are_cured() -> None:
    """Content follows from the answers alone: nothing tells the users that they changed."""
    cured = events(replace(draw(7), flaws=()), visits=300)
    before, after = (
        sum(not turn.verdict.is_served for turn in turns) / len(turns)
        for turns in (TURNS, [each for each in cured if isinstance(each, Turn)])
    )
    assert before > 3 * after


def test_highlights_quote_the_answer() -> None:
    """A marked passage stands in the answer it is taken from."""
    marked = [(g.turn, s) for g in GIVEN for s in g.judgements if s.kind == "annotation"]
    assert marked
    assert all(turn and said.passage in turn.reply.text for turn, said in marked)


def test_an_answer_is_judged_by_facts_figures_and_manners() -> None:
    """What is missing, made up, rude or honest shows to whoever knows the truth."""
    world = draw(7)
    truths, questions = world.truths(), {each.id: each for each in world.questions}
    refund, payroll = questions["refund-period"], questions["payroll"]
    fact = refund.facts[0]
    assert judge(refund, f"It is {fact}.", truths).is_served
    assert judge(refund, f"It is 1{fact}.", truths).problems == ("wrong",)
    assert judge(refund, "It depends.", truths).problems == ("vague",)
    assert judge(refund, "I could not find that.", truths).problems == ("refused",)
    assert judge(refund, f"Obviously it is {fact}.", truths).problems == ("rude",)
    assert judge(payroll, "You can invite people.", truths).problems == ("off_topic",)
    assert judge(payroll, "I could not find that.", truths).is_served


def test_a_rephrased_question_uses_other_words() -> None:
    """Whoever asks again does not repeat the wording that failed."""
    rng = random.Random(1)
    voice, question = Voice(rng), draw(7).questions[0]
    for person in (each for each in draw_people(rng, 30) if each.locale == "en"):
        wording = question.ask[0]
        again = voice.ask(person, question, place=2, again=wording)
        assert wording.casefold().rstrip("?") not in again.casefold()
