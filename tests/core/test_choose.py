"""Few lessons are chosen, each for a reason, and every other one is left out for one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.lessons import NOW, lesson
from teachback.core.assign import in_canary
from teachback.core.choose import (
    Considered,
    CosineGate,
    ExactGate,
    Match,
    choose,
    fingerprint,
    in_scope,
)
from teachback.core.compose import cost, frame_cost
from teachback.model.lesson import Lesson, Scope
from teachback.model.recall import Ask, Rules

ASK = Ask(query="q", user_id="u", trace_id="t")
KINDS = ("guidance", "fact", "template", "example")


def match(one: Lesson, score: float = 0.9, **values: Any) -> Match:
    return Match(lesson=one, score=score, **values)


def decided(
    *lessons: Lesson, ask: Ask = ASK, rules: Rules | None = None, **values: Any
) -> list[Considered]:
    """Decide about lessons that are all near."""
    matches = [match(one, 0.9 - at / 1000, rank=at) for at, one in enumerate(lessons, 1)]
    rules = rules or Rules()
    return choose(matches, ask, rules, gate=CosineGate(0.5), salt="p", now=NOW, **values)


def reasons(considered: list[Considered]) -> dict[str, str]:
    return {one.lesson.id: one.reason for one in considered}


def chosen(considered: list[Considered]) -> list[str]:
    return [one.lesson.id for one in considered if one.position]


def test_one_rule_and_two_examples_are_chosen() -> None:
    """At most one of guidance, fact and template, and at most two examples, in this order."""
    considered = decided(
        *[lesson(f"e{n}", kind="example") for n in range(4)],
        lesson("f", kind="fact"), lesson("g"), lesson("t", kind="template"),
    )  # fmt: skip
    assert chosen(considered) == ["f", "e0", "e1"]
    assert [one.position for one in considered[:3]] == [1, 2, 3]
    assert [one.reason for one in considered[3:]] == ["one_is_enough"] * 4


def test_more_are_chosen_when_the_project_asks_for_it() -> None:
    """It is a setting."""
    lessons = [lesson(f"g{n}") for n in range(4)]
    assert chosen(decided(*lessons, rules=Rules(lessons=3))) == ["g0", "g1", "g2"]
    assert chosen(decided(*lessons, rules=Rules(lessons=0, examples=0))) == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"state": "draft"}, "not_live"),
        ({"state": "approved"}, "not_live"),
        ({"state": "retired"}, "not_live"),
        ({"approved_at": None}, "not_live"),
        ({"killed_at": NOW}, "not_live"),
        ({"expires_at": NOW}, "expired"),
        ({"scope": Scope(roles=("admin",))}, "out_of_scope"),
        ({"superseded_by": "other"}, "superseded"),
    ],
)
def test_lesson_is_left_out_when_it_may_not_reach_a_prompt(
    values: dict[str, Any], reason: str
) -> None:
    """Whoever has handed it in, and however near it is; the other one is chosen."""
    considered = decided(lesson("l", **values), lesson("other"))
    assert reasons(considered) == {"l": reason, "other": "near"}


def test_predecessor_serves_when_its_successor_is_not_in_force() -> None:
    """They are never chosen together, and one of them is."""
    old, new = lesson("old", superseded_by="new"), lesson("new", state="approved")
    assert chosen(decided(old, new)) == ["old"]
    assert chosen(decided(old, replace(new, state="live"))) == ["new"]


def test_only_equal_texts_pass_when_nothing_is_known() -> None:
    """Without data to calibrate by, a near miss is a miss."""
    matches = [match(lesson("a"), 0.999), match(lesson("b"), 1.0, exact=True)]
    considered = choose(matches, ASK, Rules(), gate=ExactGate(), salt="p", now=NOW)
    assert reasons(considered) == {"b": "exact", "a": "does_not_fit"}


def test_canary_reaches_its_share_of_end_users() -> None:
    """The same ones each time; the others get what they would have got."""
    new, old = lesson("new", state="canary", priority=1), lesson("old")
    asks = [replace(ASK, user_id=f"u-{n}") for n in range(1_000)]
    got = [chosen(decided(new, old, ask=ask)) for ask in asks]
    assert got == [["new"] if in_canary("p", ask, Rules(), "new") else ["old"] for ask in asks]
    assert 120 < got.count(["new"]) < 280


def test_order_is_priority_then_worth() -> None:
    """Nearness counts, what helped counts, what is old counts less, and nothing is by chance."""
    assert chosen(decided(lesson("a"), lesson("b", priority=1))) == ["b"]
    assert chosen(decided(lesson("a", harmful=5), lesson("b", helpful=5))) == ["b"]
    assert chosen(decided(lesson("a", updated_at=NOW - timedelta(days=400)), lesson("b"))) == ["b"]
    assert chosen(decided(lesson("b"), lesson("a"))) == ["b"]


def test_conflicting_examples_are_not_given_together() -> None:
    """Two good answers to one question would contradict each other; the same one is told once."""
    one = lesson("a", kind="example", situation="How long?", answer="14 days")
    other = lesson("b", kind="example", situation="how long", answer="30 days", text="x")
    again = replace(one, id="c")
    assert reasons(decided(one, again, other)) == {"a": "near", "b": "conflicts", "c": "repeats"}
    far = replace(other, situation="something else")
    assert reasons(decided(one, far, alike=lambda *_: True))["b"] == "conflicts"


def test_budget_is_kept_and_smaller_ones_go_on() -> None:
    """What does not fit is left out for that, and what follows may fit."""
    long, short = lesson("long", text="word " * 2_000), lesson("short")
    considered = decided(long, short)
    assert reasons(considered) == {"long": "over_budget", "short": "near"}
    used = frame_cost(Rules().wording) + cost(short, Rules().wording)
    assert chosen(decided(short, rules=Rules(max_tokens=used))) == ["short"]
    assert chosen(decided(short, rules=Rules(max_tokens=used - 1))) == []


def test_ten_thousand_in_conflict_leave_one() -> None:
    """The same one each time, in whatever order they come."""
    lessons = [lesson(f"l{n:05}", situation="same", text=f"answer {n}") for n in range(10_000)]
    matches = [match(one, rank=at) for at, one in enumerate(lessons, 1)]
    gate = CosineGate(0.5)
    considered = choose(matches, ASK, Rules(), gate=gate, salt="p", now=NOW)
    again = choose(matches[::-1], ASK, Rules(), gate=gate, salt="p", now=NOW)
    assert chosen(considered) == chosen(again) == ["l00000"]
    assert len(considered) == 10_000
    assert {one.reason for one in considered[1:]} == {"one_is_enough"}
    more = choose(
        matches[:200], ASK, Rules(lessons=3), gate=gate, salt="p", now=NOW
    )  # however many may be given
    assert chosen(more) == ["l00000"]
    assert {one.reason for one in more[1:]} == {"conflicts"}


@pytest.mark.parametrize(
    ("scope", "facts", "holds"),
    [
        ({}, {}, True),
        ({"roles": ("admin", "owner")}, {"role": "Owner"}, True),
        ({"roles": ("admin",)}, {"role": None}, False),
        ({"environments": ("test",)}, {}, False),
        ({"surfaces": ("web",)}, {"surface": "web"}, True),
        ({"locales": ("de",)}, {"locale": "de-AT"}, True),
        ({"locales": ("de-AT",)}, {"locale": "de"}, False),
        ({"locales": ("de",)}, {"locale": "den"}, False),
        ({"models": ("gpt-5",)}, {"model": "gpt-5-mini"}, False),
        ({"prompts": ("support",)}, {"prompt": "support@7"}, True),
        ({"prompts": ("support@6",)}, {"prompt": "support@7"}, False),
        ({"topics": ("refunds",)}, {"topics": ("a", "refunds")}, True),
        ({"topics": ("refunds",)}, {}, False),
        ({"roles": ("admin",), "locales": ("de",)}, {"role": "admin", "locale": "en"}, False),
    ],
)
def test_scope(scope: dict[str, Any], facts: dict[str, Any], holds: bool) -> None:
    """Every dimension that is narrowed must be met, and what is unknown meets nothing."""
    assert in_scope(Scope(**scope), replace(ASK, **facts)) is holds


def test_fingerprint_forgets_what_does_not_matter() -> None:
    """Case, spaces and the mark at the end; nothing inside."""
    assert fingerprint("  How do I\n get a REFUND?? ") == fingerprint("how do i get a refund")
    assert fingerprint("C++") != fingerprint("C")
    assert fingerprint("-5 %") != fingerprint("5 %")


lessons_strategy = st.lists(
    st.builds(
        lambda kind, state, text, priority, roles, killed, approved, expired, score: (
            lesson(
                "x", kind=kind, state=state, text=text, situation=text, priority=priority,
                scope=Scope(roles=roles), killed_at=NOW if killed else None,
                approved_at=NOW if approved else None,
                expires_at=NOW - timedelta(days=1) if expired else None,
            ),
            score,
        ),
        st.sampled_from(KINDS),
        st.sampled_from(["draft", "approved", "canary", "live", "retired"]),
        st.text(max_size=300),
        st.integers(-2, 2),
        st.sampled_from([(), ("admin",), ("guest",)]),
        st.booleans(), st.booleans(), st.booleans(), st.floats(0, 1),
    ),
    max_size=12,
)  # fmt: skip


@given(lessons_strategy, st.integers(0, 3), st.integers(0, 3), st.integers(0, 2_000))
def test_whatever_is_handed_in_the_rules_hold(
    given_lessons: list[tuple[Lesson, float]], most: int, examples: int, budget: int
) -> None:
    """Only what is in force, in scope and near; within numbers and budget; all told about once."""
    named = [(replace(one, id=f"l{at}"), score) for at, (one, score) in enumerate(given_lessons)]
    rules = Rules(lessons=most, examples=examples, max_tokens=budget)
    matches = [match(one, score, rank=at) for at, (one, score) in enumerate(named, 1)]
    ask = replace(ASK, role="admin")
    considered = choose(matches, ask, rules, gate=CosineGate(0.5), salt="p", now=NOW)
    assert sorted(one.lesson.id for one in considered) == sorted(one.id for one, _ in named)
    taken = [one for one in considered if one.position]
    for one in taken:
        known = one.lesson
        assert known.state in ("canary", "live")
        assert (known.killed_at, known.expires_at, known.approved_at) == (None, None, NOW)
        assert known.scope.roles != ("guest",)
        assert one.match.score >= 0.5
    assert sum(one.lesson.kind != "example" for one in taken) <= most
    assert sum(one.lesson.kind == "example" for one in taken) <= examples
    if taken:
        assert frame_cost(rules.wording) + sum(one.tokens for one in taken) <= budget
    assert [one.position for one in taken] == list(range(1, len(taken) + 1))
