"""Keys, passwords and logins: made here, kept as hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from teachback.core.tokens import key_id, signing_key
from teachback.errors import Invalid, Unauthenticated
from teachback.model.ids import new_id
from teachback.model.project import Key, KeyKind, Member, Project
from teachback.store import keys as key_store
from teachback.store import logins, projects
from teachback.store.database import Database
from teachback.store.keys import StoredKey

#: A console login lasts two weeks; a one-time link a quarter of an hour, the demo's a day.
LOGIN_LIFETIME = timedelta(days=14)
LINK_LIFETIME = timedelta(minutes=15)
MIN_PASSWORD, MAX_PASSWORD = 8, 1024
#: Argon2id with the parameters of RFC 9106's second recommendation: 64 MiB, 3 passes.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)
_KINDS: dict[KeyKind, str] = {"secret": "sk", "public": "pk"}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, with the text that is shown once."""

    key: Key
    secret: str


async def make_key(
    db: Database, pepper: bytes, project_id: str, *, kind: KeyKind, name: str,
    member_id: str | None = None,
) -> NewKey:  # fmt: skip
    """Make an API key with 256 random bits; with `member_id`, one that acts for that member."""
    public_id = secrets.token_hex(6)
    secret = f"tb_{_KINDS[kind]}_{public_id}_{secrets.token_hex(32)}"
    key = Key(
        id=public_id, project_id=project_id, kind=kind, name=name, created_at=datetime.now(UTC),
        member_id=member_id,
    )  # fmt: skip
    token_key = signing_key(secret) if kind == "secret" else None
    await key_store.save_key(db, StoredKey(key, hash_secret(pepper, secret), token_key))
    return NewKey(key, secret)


def hash_secret(pepper: bytes, secret: str) -> bytes:
    """Return the hash under which a key is kept; its 256 random bits need no slow hash."""
    return hmac.digest(pepper, secret.encode("utf-8", "replace"), hashlib.sha256)


def check_secret(stored: StoredKey | None, pepper: bytes, secret: str) -> Key:
    """Return the key that this text proves, in constant time; raises Unauthenticated."""
    expected = stored.secret_hash if stored else bytes(32)
    same = hmac.compare_digest(expected, hash_secret(pepper, secret))
    if stored is None or not same:
        raise Unauthenticated("the API key is unknown or revoked: make one in the console")
    return stored.key


def public_part(secret: str) -> str:
    """Return the id inside a key's text, "" when it is not shaped like a key."""
    return key_id(secret) if secret.startswith("tb_") and len(secret) < 200 else ""


async def make_project(db: Database, name: str, *, owner: Member | None = None) -> Project:
    """Make a project with the default reasons and metrics, owned by `owner`."""
    if not 1 <= len(name.strip()) <= 100:
        raise Invalid("name", value=name, rule="a project's name has 1 to 100 characters",
                      fix="Send such a name")  # fmt: skip
    project = Project(id=new_id(), name=name.strip(), created_at=datetime.now(UTC))
    await projects.save_project(db, project)
    if owner:
        await projects.save_role(db, project.id, owner.id, "owner")
    return project


def hash_password(password: str) -> str:
    """Return the argon2id hash; raises Invalid for a password too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid(
            "password", rule=f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters",
            fix="Choose a longer one, such as four random words", shown=False,
        )  # fmt: skip
    return _HASHER.hash(password)


def check_password(hashed: str | None, password: str) -> bool:
    """Tell whether the password is right; takes as long for an unknown member."""
    try:
        _HASHER.verify(hashed or _nobody(), password[:MAX_PASSWORD])
    except (Argon2Error, InvalidHashError):
        return False
    return hashed is not None


async def make_login(
    db: Database, member_id: str, *, kind: Literal["browser", "link"], lifetime: timedelta
) -> str:
    """Return a new token for a browser, or for a link that signs in once."""
    token = secrets.token_urlsafe(32)
    await logins.save_login(
        db, token_hash(token), member_id, kind=kind, expires_at=datetime.now(UTC) + lifetime
    )
    return token


def token_hash(token: str) -> bytes:
    """Return the hash under which a login's token is kept."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


@cache
def _nobody() -> str:
    """Return the hash of a password that nobody has, to spend the same time on a stranger."""
    return _HASHER.hash(secrets.token_hex(16))
