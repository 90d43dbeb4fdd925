"""Who gets what: decided by hashes alone, so that every process decides alike, for ever."""

from __future__ import annotations

import hashlib

from teachback.model.recall import Ask, Rules, Variant

#: Decisions that must not depend on each other have layers of their own.
HOLDOUT, HOLD_BACK, CANARY = "holdout", "hold_back", "canary"


def bucket(salt: str, layer: str, unit: str) -> float:
    """Return a number in [0, 1), uniform over units, independent between layers and salts."""
    # Lengths keep ("a", "bc") and ("ab", "c") apart.
    text = f"{len(salt)}:{salt}{len(layer)}:{layer}{unit}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    # 53 bits are what a float holds exactly: more could round up to 1.
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def unit_of(ask: Ask) -> str:
    """Return what an assignment sticks to: the end user, else the session, else the request."""
    for kind, name in (("user", ask.user_id), ("session", ask.session_id)):
        if name:
            return f"{kind}:{name}"
    return f"trace:{ask.trace_id or ''}"


def in_holdout(salt: str, ask: Ask, rules: Rules) -> bool:
    """Tell whether this end user never gets a lesson."""
    return bucket(salt, HOLDOUT, unit_of(ask)) < rules.holdout


def in_canary(salt: str, ask: Ask, rules: Rules, lesson_id: str) -> bool:
    """Tell whether this end user is among those who get a lesson first; each lesson has others."""
    return bucket(salt, f"{CANARY}:{lesson_id}", unit_of(ask)) < rules.canary


def assign(salt: str, ask: Ask, rules: Rules) -> tuple[Variant, float]:
    """Return what happens to lessons chosen for a request, and the chance that they are given.

    The chance is drawn by the trace: a request that is made again gets the same.
    """
    if in_holdout(salt, ask, rules):
        return "holdout", 0.0
    given = bucket(salt, HOLD_BACK, ask.trace_id or "") < rules.propensity
    return "injected" if given else "held_back", rules.propensity
