"""What people write into fields: a line or a text, within limits."""

from __future__ import annotations

import re

from teachback.errors import Invalid


def line_of(given: object, name: str, *, most: int, fix: str) -> str:
    """Return a field's text as one line of 1 to `most` characters; raises Invalid."""
    text = "".join(
        letter for letter in " ".join(str(given or "").split()) if letter.isprintable()
    ).strip()
    if not 1 <= len(text) <= most:
        raise Invalid(name, value=text, rule=f"a {name} has 1 to {most} characters", fix=fix)
    return text


def text_of(given: object, name: str, *, most: int) -> str:
    """Return a field's text of 1 to `most` characters, its lines kept; raises Invalid."""
    text = str(given or "").replace("\0", "").replace("\r\n", "\n").strip()
    if not 1 <= len(text) <= most:
        raise Invalid(name, rule=f"a {name} has 1 to {most:,} characters, here {len(text):,}",
                      fix="Write one, or shorten it")  # fmt: skip
    return text


def name_of(given: object) -> str:
    """Return a name that can stand in an address; raises Invalid."""
    name = str(given or "").strip()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise Invalid(
            "name", value=name,
            rule="a name has up to 64 letters, digits, dots, dashes and underscores",
            fix="Write one such as support",
        )  # fmt: skip
    return name
