"""API keys, by the hash of their secrets."""

from __future__ import annotations

from dataclasses import dataclass

from teachback.errors import NotFound
from teachback.model.project import Key
from teachback.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key and what proves it."""

    key: Key
    secret_hash: bytes
    #: Checks feedback tokens signed with the secret; None for public keys.
    token_key: bytes | None


async def save_key(db: Database, stored: StoredKey) -> None:
    """Add a key."""
    key = stored.key
    await db.run(
        """
        insert into api_key
            (id, project_id, kind, name, secret_hash, token_key, created_at, member_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (key.id, key.project_id, key.kind, key.name, stored.secret_hash, stored.token_key,
         key.created_at, key.member_id),
    )  # fmt: skip


async def find_key(db: Database, key_id: str) -> StoredKey | None:
    """Return a key that is not revoked."""
    row = await db.one("select * from api_key where id = %s and revoked_at is null", (key_id,))
    return None if row is None else StoredKey(_from_row(row), row["secret_hash"], row["token_key"])


async def list_keys(db: Database, project_id: str) -> list[Key]:
    """Return a project's keys, revoked ones too, oldest first."""
    rows = await db.all(
        "select * from api_key where project_id = %s order by created_at, id limit 1000",
        (project_id,),
    )
    return [_from_row(row) for row in rows]


async def revoke_key(db: Database, project_id: str, key_id: str) -> None:
    """End a key; raises NotFound. It stays listed."""
    touched = await db.run(
        """
        update api_key set revoked_at = coalesce(revoked_at, now())
        where project_id = %s and id = %s
        """,
        (project_id, key_id),
    )
    if touched == 0:
        raise NotFound("no key has this id in this project")


def _from_row(row: Row) -> Key:
    return Key(
        id=row["id"],
        project_id=str(row["project_id"]),
        kind=row["kind"],
        name=row["name"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        member_id=row["member_id"] and str(row["member_id"]),
    )
