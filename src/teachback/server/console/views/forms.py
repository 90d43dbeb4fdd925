"""What people write into fields: one line, within limits."""

from __future__ import annotations

from teachback.errors import Invalid


def line_of(given: object, name: str, *, most: int, fix: str) -> str:
    """Return a field's text as one line of 1 to `most` characters; raises Invalid."""
    text = "".join(
        letter for letter in " ".join(str(given or "").split()) if letter.isprintable()
    ).strip()
    if not 1 <= len(text) <= most:
        raise Invalid(name, value=text, rule=f"a {name} has 1 to {most} characters", fix=fix)
    return text
