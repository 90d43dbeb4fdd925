"""Texts that many traces share, kept once per project by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from teachback.store.copy import as_columns
from teachback.store.database import Connection, Database

#: In front of a hash on the wire, so that a later algorithm can be told apart.
HASH_PREFIX = "sha256:"


def content_hash(text: str) -> bytes:
    """Return the 32 bytes under which a text is kept."""
    return hashlib.sha256(text.encode()).digest()


def to_wire(digest: bytes) -> str:
    """Write a hash as `sha256:<hex>`."""
    return HASH_PREFIX + digest.hex()


def from_wire(text: str) -> bytes:
    """Read `sha256:<hex>`."""
    return bytes.fromhex(text.removeprefix(HASH_PREFIX))


async def save_contents(connection: Connection, texts: Iterable[tuple[str, bytes, str]]) -> None:
    """Keep (project id, hash, text), once each, and note that they are in use."""
    # Sorted: two transactions that add the same texts take their locks in one order.
    rows = [(project, f"\\x{digest.hex()}", text) for project, digest, text in sorted(texts)]
    if not rows:
        return
    await connection.execute(
        """
        insert into content (project_id, hash, content)
        select * from unnest(%s::uuid[], %s::bytea[], %s::text[])
        on conflict (project_id, hash) do update set used_at = excluded.used_at
        where content.used_at < excluded.used_at - interval '1 day'
        """,
        as_columns(rows),
    )


async def note_use(connection: Connection, keys: Iterable[tuple[str, bytes]]) -> None:
    """Note that texts are in use which traces name, by (project id, hash), and do not bring."""
    rows = [(project, f"\\x{digest.hex()}") for project, digest in sorted(keys)]
    if not rows:
        return
    await connection.execute(
        """
        update content c set used_at = now()
        from unnest(%s::uuid[], %s::bytea[]) as used (project_id, hash)
        where c.project_id = used.project_id and c.hash = used.hash
          and c.used_at < now() - interval '1 day'
        """,
        as_columns(rows),
    )


async def find_contents(db: Database, project_id: str, hashes: list[bytes]) -> dict[bytes, str]:
    """Return the texts that are kept under these hashes."""
    rows = await db.all(
        "select hash, content from content where project_id = %s and hash = any(%s)",
        (project_id, hashes),
    )
    return {bytes(row["hash"]): row["content"] for row in rows}
