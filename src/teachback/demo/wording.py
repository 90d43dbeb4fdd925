"""Putting a found passage into words: choosing a template and filling it in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from teachback.demo.library import Library, ReplyKind, Template
from teachback.demo.passages import ExtraText, Hit
from teachback.demo.words import terms


def choose_template(
    library: Library, query: str, hits: Sequence[Hit], extras: Iterable[ExtraText]
) -> Template:
    """Return the template for a question: one made for it rather than one for all, then the newest.

    `hits` are the passages good enough to answer from, best first.
    """
    kind, locale = _reply_kind(hits), hits[0].passage.locale if hits else "en"
    asked = set(terms(query))
    fitting = [
        each
        for each in [*library.templates.values(), *_given_templates(extras, kind)]
        if each.kind == kind and each.locale == locale and _is_for(each, asked)
    ]
    return max(fitting, key=lambda each: (bool(each.when), each.updated or dt.date.max))


def fill_template(template: Template, hits: Sequence[Hit]) -> str:
    """Return the reply: the template with the best passage in it."""
    best = hits[0].passage if hits else None
    text = template.text.replace("{answer}", best.text if best else "")
    return text.replace("{title}", best.title if best else "").strip()


def _reply_kind(hits: Sequence[Hit]) -> ReplyKind:
    if not hits:
        return "no_answer"
    return "steps" if hits[0].passage.kind == "tool" else "answer"


def _is_for(template: Template, asked: set[str]) -> bool:
    return not template.when or not asked.isdisjoint(terms(template.when))


def _given_templates(extras: Iterable[ExtraText], kind: ReplyKind) -> list[Template]:
    """Read the texts given with a question that say how to word a reply."""
    return [
        Template(id=extra.id, kind=kind, text=extra.text, when=extra.title, locale=extra.locale)
        for extra in extras
        if "{answer}" in extra.text
    ]
