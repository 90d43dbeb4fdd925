"""What the assistant is made of: documents, templates, actions and settings, read from data."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

DATA = Path(__file__).parent / "data"

ReplyKind = Literal["answer", "steps", "no_answer"]
#: A table of a TOML file; `build` checks it.
Table = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One page of the help centre."""

    id: str
    title: str
    version: str
    updated: dt.date
    locale: str = "en"
    #: Words people use that the text does not.
    keywords: str = ""
    #: Heading → text.
    sections: Mapping[str, str]
    #: Heading → what people type when they look for it.
    finds: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The page as the assistant's context holds it."""
        parts = [f"# {self.title}"]
        parts += [f"## {heading}\n{text}" for heading, text in self.sections.items()]
        return "\n\n".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A way to put a reply into words; `{answer}` and `{title}` are filled in."""

    id: str
    kind: ReplyKind
    text: str
    version: str = ""
    #: Absent means from now.
    updated: dt.date | None = None
    locale: str = "en"
    #: Words of the questions it is for; empty for all.
    when: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """Something the product can do, and how."""

    id: str
    title: str
    version: str
    updated: dt.date
    steps: tuple[str, ...]
    #: Waiting between the steps.
    seconds: float = 0.0
    keywords: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recollection:
    """Something the model believes without having been told; no document stands behind it."""

    id: str
    title: str
    text: str
    updated: dt.date
    keywords: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """The system prompt."""

    name: str
    version: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How the assistant searches."""

    #: Share of a question's weight that a passage must cover before it counts as an answer.
    min_match: float = 0.5
    #: Documents put into the context.
    documents: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """Everything an assistant is loaded with."""

    release: str
    system_prompt: Prompt
    settings: Settings
    documents: Mapping[str, Document]
    templates: Mapping[str, Template]
    actions: Mapping[str, Action]
    recollections: Mapping[str, Recollection] = field(default_factory=dict)


#: What people type when they look for a section, in a comment below its heading.
_FIND = re.compile(r"<!-- find: (.*?) -->\n")
_SLOT = re.compile(r"<<(!?)(\w+)>>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """What differs between worlds: the true choice of each value, and a wrong one."""

    truth: Mapping[str, str]
    wrong: Mapping[str, str]

    def fill(self, text: str) -> str:
        """Put values into a text: `<<name>>` becomes the true one, `<<!name>>` the wrong one."""
        return _SLOT.sub(lambda slot: (self.wrong if slot[1] else self.truth)[slot[2]], text)


def load_tables(values: Values) -> Table:
    """Return the assistant's data as plain tables, lists keyed by id, ready to be overlaid."""
    tables = read_toml("application.toml", values)
    for path in ("templates.toml", "actions.toml"):
        tables |= read_toml(path, values)
    documents = [_document(values.fill(read_text(path))) for path in list_data("documents")]
    return tables | {"documents": documents, "recollections": []}


def overlay(tables: Table, changes: Table) -> Table:
    """Return tables with changes laid over them: by key, and in lists by each entry's id.

    `remove_documents` names documents to leave out.
    """
    removed = changes.get("remove_documents", ())
    merged: Table = _merged(tables, {key: changes[key] for key in changes if key in tables})
    kept = [each for each in merged["documents"] if each["id"] not in removed]
    return merged | {"documents": kept}


def build(tables: Table) -> Library:
    """Return the typed library; raises msgspec.ValidationError when the data is malformed."""
    keyed = {
        key: {entry["id"]: entry for entry in value} if isinstance(value, list) else value
        for key, value in tables.items()
    }
    return msgspec.convert(keyed, Library)


@cache
def read_text(path: str) -> str:
    """Return a data file's text; the files are small and do not change while we run."""
    return (DATA / path).read_text(encoding="utf-8")


def list_data(folder: str) -> list[str]:
    """Return the paths of the files in a folder of the data, sorted."""
    return sorted(str(path.relative_to(DATA)) for path in (DATA / folder).iterdir())


def read_toml(path: str, values: Values) -> Table:
    """Return a TOML file with a world's values filled in."""
    return tomllib.loads(values.fill(read_text(path)))


def _document(text: str) -> Table:
    """Parse a page: head lines `key: value`, a blank line, then `##` sections."""
    head, _, body = text.partition("\n\n")
    about: Table = dict(line.split(": ", 1) for line in head.splitlines())
    parts = [part.split("\n", 1) for part in body.strip().removeprefix("## ").split("\n## ")]
    finds = {heading: found[1] for heading, text in parts if (found := _FIND.match(text))}
    sections = {heading: _FIND.sub("", text).strip() for heading, text in parts}
    return about | {"sections": sections, "finds": finds}


def _merged(base: Any, changes: Any) -> Any:
    if isinstance(base, dict) and isinstance(changes, dict):
        both = {key: _merged(base[key], changes[key]) for key in changes if key in base}
        return base | changes | both
    if isinstance(base, list) and all(isinstance(each, dict) for each in [*base, *changes]):
        known = {each["id"]: each for each in base}
        return list(_merged(known, {each["id"]: each for each in changes}).values())
    return changes
