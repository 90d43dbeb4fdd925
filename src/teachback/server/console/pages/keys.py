"""API keys: listed, made, revoked."""

from __future__ import annotations

from typing import get_args

from starlette.responses import Response

from teachback.errors import Invalid
from teachback.model.project import KeyKind
from teachback.record.access import NewKey, make_key
from teachback.server.console.render import page
from teachback.server.console.views.lists import key_row
from teachback.server.console.views.snippets import first_key
from teachback.server.console.visit import MAY_MANAGE_KEYS, Visit, see_other
from teachback.store.keys import list_keys, revoke_key

PATH = "/settings/keys"
MAX_NAME = 100


async def show(visit: Visit) -> Response:
    """Show the project's keys."""
    return await _page(visit)


async def make(visit: Visit) -> Response:
    """Make a key and show its secret, this once; raises Forbidden."""
    visit.require(MAY_MANAGE_KEYS)
    form = await visit.request.form()
    name = " ".join(str(form.get("name", "")).replace("\0", "").split())
    try:
        kind = _kind(str(form.get("kind", "")))
        if not 1 <= len(name) <= MAX_NAME:
            rule = f"a key's name has 1 to {MAX_NAME} characters"
            raise Invalid("name", value=name, rule=rule, fix="Name the application that uses it")
    except Invalid as error:
        return await _page(visit, problem=error.message, status=400)
    new = await make_key(visit.db, visit.context.pepper, visit.project.id, kind=kind, name=name)
    # Answered directly: behind a redirect the secret would have to be kept somewhere.
    return await _page(visit, made=new, status=201)


async def revoke(visit: Visit) -> Response:
    """End a key; raises Forbidden or NotFound."""
    visit.require(MAY_MANAGE_KEYS)
    key_id = visit.request.path_params["id"]
    await revoke_key(visit.db, visit.project.id, key_id)
    visit.context.forget_key(key_id)
    return see_other(PATH)


def _kind(text: str) -> KeyKind:
    for kind in get_args(KeyKind):
        if kind == text:
            return kind  # type: ignore[no-any-return]
    raise Invalid("kind", value=text, rule="a key is secret or public", fix="Choose one of them")


async def _page(
    visit: Visit, *, made: NewKey | None = None, problem: str = "", status: int = 200
) -> Response:
    keys = await list_keys(visit.db, visit.project.id)
    live_first = sorted(keys, key=lambda key: (key.revoked_at is not None, key.created_at))
    return page(
        visit.request, "keys.html", visit=visit, status=status,
        keys=[key_row(key) for key in live_first],
        made={"name": made.key.name, "secret": made.secret} if made else None,
        problem=problem,
        may_manage=visit.member.roles.get(visit.project.id) in MAY_MANAGE_KEYS,
        snippet=first_key(visit.context.public_url),
    )  # fmt: skip
