"""Who is signed in, and the links that sign in once; only hashes of their tokens are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from teachback.store.database import Database


async def save_login(
    db: Database,
    token_hash: bytes,
    member_id: str,
    *,
    kind: Literal["browser", "link"],
    expires_at: datetime,
) -> None:
    """Remember a login."""
    await db.run(
        """
        insert into login (token_hash, member_id, kind, created_at, expires_at)
        values (%s, %s, %s, now(), %s)
        """,
        (token_hash, member_id, kind, expires_at),
    )


async def find_login(db: Database, token_hash: bytes) -> str | None:
    """Return the id of the member whose browser this is."""
    row = await db.one(
        """
        select member_id::text from login
        where token_hash = %s and kind = 'browser' and expires_at > now()
        """,
        (token_hash,),
    )
    return None if row is None else str(row["member_id"])


async def use_link(db: Database, token_hash: bytes) -> str | None:
    """Use a link up; return the id of its member, None when it is used or expired."""
    row = await db.one(
        """
        delete from login where token_hash = %s and kind = 'link' and expires_at > now()
        returning member_id::text
        """,
        (token_hash,),
    )
    return None if row is None else str(row["member_id"])


async def delete_login(db: Database, token_hash: bytes) -> None:
    """Sign a browser out."""
    await db.run("delete from login where token_hash = %s", (token_hash,))


async def delete_expired(db: Database) -> int:
    """Forget logins and links that have run out; return how many."""
    return await db.run("delete from login where expires_at < now()")
