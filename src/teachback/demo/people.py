"""Who comes to the help page: simulated end users, each with their own manner, drawn by seed."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from teachback.demo.library import read_text

Item = TypeVar("Item")

#: Share of people who type in small letters, without much punctuation.
CARELESS_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """One simulated end user."""

    #: Pseudonym.
    id: str
    role: str
    surface: str
    locale: str
    #: How they put things: `kind`, `plain`, `blunt` or `wry`.
    temperament: str
    #: How readily they give feedback; 1 is average.
    answers: float
    #: Answers that miss before they leave.
    patience: int
    #: 0 types the bare question, 1 tells its story.
    verbosity: float
    #: Chance of a typing error in a message.
    typos: float
    is_careless: bool
    trade: str


class _Role(msgspec.Struct):
    name: str
    weight: float
    surfaces: dict[str, float]
    trade: list[str]


class _Temperament(msgspec.Struct):
    name: str
    weight: float
    answers: float


class _People(msgspec.Struct):
    role: list[_Role]
    temperament: list[_Temperament]
    locales: dict[str, float]


def draw_people(rng: random.Random, count: int) -> list[Person]:
    """Draw end users."""
    known = msgspec.convert(tomllib.loads(read_text("people.toml")), _People)
    return [_draw_person(rng, known) for _ in range(count)]


def pick(rng: random.Random, weights: Mapping[str, float]) -> str:
    """Return one of the keys, by weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def some(rng: random.Random, items: Sequence[Item], weights: Sequence[float]) -> Item:
    """Return one of the items, by weight."""
    return rng.choices(items, weights)[0]


def _draw_person(rng: random.Random, known: _People) -> Person:
    role = some(rng, known.role, [each.weight for each in known.role])
    manner = some(rng, known.temperament, [each.weight for each in known.temperament])
    return Person(
        id=f"user-{rng.getrandbits(40):010x}",
        role=role.name,
        surface=pick(rng, role.surfaces),
        locale=pick(rng, known.locales),
        temperament=manner.name,
        answers=manner.answers,
        patience=rng.choice([1, 2, 2, 3, 4]),
        verbosity=rng.random(),
        typos=rng.choice([0.0, 0.05, 0.15, 0.4]),
        is_careless=rng.random() < CARELESS_SHARE,
        trade=rng.choice(role.trade),
    )
