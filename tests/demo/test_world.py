"""Worlds are drawn by seed; what is wrong with them is data that no code knows."""

from __future__ import annotations

from pathlib import Path

import teachback.demo
from teachback.demo.library import Values, build, load_tables, overlay
from teachback.demo.world import draw, list_flaws

CODE = Path(teachback.demo.__file__).parent


def test_the_same_world_comes_when_the_seed_is_the_same() -> None:
    """A seed stands for one world, down to every document."""
    assert draw(3).library() == draw(3).library()
    assert draw(3).library() != draw(4).library()


def test_a_world_has_one_flaw_in_each_layer() -> None:
    """Five layers, one flaw each; thirty seeds draw many combinations."""
    drawn = {tuple(flaw.id for flaw in draw(seed).flaws) for seed in range(30)}
    assert len(drawn) > 20
    for flaws in drawn:
        layers = [flaw.split("/")[0] for flaw in flaws]
        assert layers == ["knowledge", "model", "product", "prompt", "scope"]


def test_fewer_flaws_come_when_fewer_are_asked_for() -> None:
    """`flaws` bounds how many layers are spoilt."""
    assert len(draw(3, flaws=2).flaws) == 2


def test_a_flaw_shows_from_its_day_on() -> None:
    """Before the day it begins, the application is sound."""
    world = draw(7)
    last = max(world.flaws, key=lambda flaw: flaw.starts_day)
    before, after = (world.library(day=last.starts_day + step) for step in (-1, 0))
    assert before != after
    assert after == world.library()


def test_no_code_mentions_a_flaw() -> None:
    """Neither the assistant nor its users know what is wrong: only data does."""
    names = {flaw.id.split("/")[1] for flaw in list_flaws(draw(7).values)}
    code = [path for kind in ("*.py", "*.js", "*.html") for path in CODE.rglob(kind)]
    assert len(code) > 20
    for path in code:
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names if name in text], path.name


def test_the_assistant_does_not_know_the_users_side() -> None:
    """Questions, verdicts and worlds are not imported by what answers."""
    for name in ("assistant", "passages", "wording", "words", "library", "chat_model", "reply"):
        text = (CODE / f"{name}.py").read_text(encoding="utf-8")
        for other in ("questions", "verdict", "world", "people", "behaviour"):
            assert f"teachback.demo.{other}" not in text, (name, other)


def test_entries_are_changed_by_id_when_tables_are_overlaid() -> None:
    """An overlay changes the fields it names, adds what is new and removes what it lists."""
    truth = draw(7).values.truth
    tables = load_tables(Values(truth=truth, wrong=truth))
    changes = {
        "documents": [{"id": "refunds", "sections": {"After you leave": "Nothing stays."}}],
        "remove_documents": ["mobile"],
        "settings": {"min_match": 0.1},
    }
    library = build(overlay(tables, changes))
    assert library.documents["refunds"].sections["After you leave"] == "Nothing stays."
    assert len(library.documents["refunds"].sections) == 3
    assert "mobile" not in library.documents
    assert library.settings.min_match == 0.1
    assert "mobile" in build(tables).documents
