"""Who is asking: an API key, a feedback token, or a signed-in member."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request

from teachback.core import tokens
from teachback.core.tokens import Token
from teachback.errors import Forbidden, NotFound, Unauthenticated
from teachback.model.lesson import Actor
from teachback.model.project import Key, Member, Project
from teachback.record.access import token_hash
from teachback.server.context import context
from teachback.store import logins, projects

COOKIE = "teachback_login"
PROJECT_COOKIE = "teachback_project"
TOKEN_HEADER = "teachback-token"  # noqa: S105 - a header's name


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request may touch."""

    project_id: str
    key: Key
    #: Narrows a public key to one trace and one author.
    token: Token | None = None


async def secret_caller(request: Request) -> Caller:
    """Return the caller with a secret key; raises Unauthenticated or Forbidden."""
    key = await _key(request)
    if key.kind != "secret":
        raise Forbidden("a public key may not do this: use a secret key, on a server only")
    return Caller(key.project_id, key)


async def model_caller(request: Request) -> tuple[Caller, str]:
    """Return the caller of a model provider's client, and the text of their secret key.

    The key comes where such clients put it: `Authorization` or `x-api-key`. It stays good for a
    while when the database cannot be asked. Raises Unauthenticated or Forbidden.
    """
    given = {text.strip() for text in request.headers.getlist("x-api-key")}
    for text in request.headers.getlist("authorization"):
        scheme, _, secret = text.partition(" ")
        given.add(secret.strip() if scheme.lower() == "bearer" else "")
    if len(given) != 1 or not (secret := given.pop()):
        raise Unauthenticated("send one secret key of Teachback as the client's api_key")
    key = (await context(request).key(secret, or_last=True)).key
    if key.kind != "secret":
        raise Forbidden("a public key may not do this: use a secret key, on a server only")
    return Caller(key.project_id, key), secret


async def public_caller(request: Request) -> Caller:
    """Return the caller with any key."""
    key = await _key(request)
    return Caller(key.project_id, key)


async def feedback_caller(request: Request) -> Caller:
    """Return the caller with a secret key, or with a public key and a feedback token."""
    key = await _key(request)
    if key.kind == "secret":
        return Caller(key.project_id, key)
    token = tokens.read(request.headers.get(TOKEN_HEADER, ""))
    signer = await context(request).key_by_id(token.key_id)
    if signer is None or signer.token_key is None or signer.key.project_id != key.project_id:
        raise Unauthenticated("the feedback token was signed with a key that is not live here")
    return Caller(
        key.project_id, key, tokens.verify(request.headers[TOKEN_HEADER], signer.token_key)
    )


async def current_member(connection: HTTPConnection) -> Member:
    """Return the member whose browser this is; raises Unauthenticated."""
    cookie = connection.cookies.get(COOKIE, "")
    db = context(connection).db
    member_id = await logins.find_login(db, token_hash(cookie)) if cookie else None
    if member_id is None:
        raise Unauthenticated("sign in first")
    return await projects.get_member(db, member_id)


async def current_project(connection: HTTPConnection, member: Member) -> Project:
    """Return the project the member is looking at: the last one chosen, else their first."""
    chosen = connection.cookies.get(PROJECT_COOKIE)
    if chosen in member.roles:
        return await context(connection).project(chosen)
    mine = await projects.list_projects(context(connection).db, member_id=member.id)
    if not mine:
        raise NotFound("you are not a member of any project: ask an owner to invite you")
    return mine[0]


async def actor_of(request: Request, caller: Caller) -> Actor:
    """Return who acts with a secret key: the member it acts for, or the key itself.

    Raises Forbidden when that member is no member of the project any more.
    """
    key = caller.key
    if key.member_id is None:
        return Actor(kind="key", id=key.id, name=key.name)
    member = await projects.get_member(context(request).db, key.member_id)
    return member_actor(member, caller.project_id)


def member_actor(member: Member, project_id: str) -> Actor:
    """Return a member as who acts in a project; raises Forbidden to those outside."""
    role = member.roles.get(project_id)
    if role is None:
        raise Forbidden("this key acts for somebody who is no member of the project any more")
    return Actor(kind="member", id=member.id, name=member.name or member.email, role=role)


async def _key(request: Request) -> Key:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated("send an API key as 'Authorization: Bearer KEY'")
    return (await context(request).key(secret.strip())).key
