"""A world drawn by seed: what is true, what the assistant is loaded with, and from which day."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from teachback.demo.library import (
    DATA,
    Library,
    Table,
    Values,
    build,
    list_data,
    load_tables,
    overlay,
    read_text,
    read_toml,
)
from teachback.demo.questions import Question, Truths, load_questions

#: Keys of a flaw's file that say something about it; the rest is laid over the data.
_ABOUT = ("title", "starts_day")

#: Which draw of worlds; chosen so that what is wrong is easily seen with the demo's own seed.
EDITION = 65


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """Something wrong with the application: changes to its data, in force from a day on."""

    #: Folder and file name, `layer/name`.
    id: str
    title: str
    starts_day: int
    changes: Table

    @property
    def layer(self) -> str:
        return self.id.split("/")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What is true, and what is wrong with the assistant that should know it."""

    seed: int
    values: Values
    flaws: tuple[Flaw, ...]
    questions: tuple[Question, ...]

    def library(self, *, day: int | None = None) -> Library:
        """Return what the assistant is loaded with on a day; without one, on the last day."""
        tables = load_tables(self.values)
        for flaw in self.flaws:
            if day is None or flaw.starts_day <= day:
                tables = overlay(tables, flaw.changes)
        return build(tables)

    def truths(self, *, day: int | None = None) -> Truths:
        """Return what end users find when they look for themselves: facts, and the product."""
        sound = build(load_tables(self.values))
        return Truths(documents=sound.documents, actions=self.library(day=day).actions)


def draw(seed: int, *, flaws: int = 5) -> World:
    """Draw a world: its values, and one flaw in each of up to `flaws` layers."""
    rng = random.Random(f"world {EDITION} seed {seed}")
    values = _draw_values(rng)
    layers = _by_layer(values)
    chosen = [rng.choice(variants) for variants in layers.values()]
    return World(
        seed=seed,
        values=values,
        flaws=tuple(chosen[:flaws]),
        questions=load_questions(values),
    )


def list_flaws(values: Values) -> list[Flaw]:
    """Return every flaw there is data for."""
    folders = sorted(path.name for path in (DATA / "flaws").iterdir())
    return [_flaw(path, values) for folder in folders for path in list_data(f"flaws/{folder}")]


def _draw_values(rng: random.Random) -> Values:
    choices: Mapping[str, list[str]] = tomllib.loads(read_text("values.toml"))
    pairs = {name: rng.sample(options, 2) for name, options in choices.items()}
    return Values(
        truth={name: pair[0] for name, pair in pairs.items()},
        wrong={name: pair[1] for name, pair in pairs.items()},
    )


def _by_layer(values: Values) -> dict[str, list[Flaw]]:
    layers: dict[str, list[Flaw]] = {}
    for flaw in list_flaws(values):
        layers.setdefault(flaw.layer, []).append(flaw)
    return layers


def _flaw(path: str, values: Values) -> Flaw:
    table = read_toml(path, values)
    return Flaw(
        id=path.removeprefix("flaws/").removesuffix(".toml"),
        title=table["title"],
        starts_day=table["starts_day"],
        changes={key: table[key] for key in table if key not in _ABOUT},
    )
