"""A few facts about the installation itself."""

from __future__ import annotations

from teachback.store.database import Database


async def keep_setting(db: Database, name: str, value: str) -> str:
    """Set a value once; return the value that holds, which an earlier process may have set."""
    row = await db.one(
        """
        insert into setting (name, value) values (%s, %s)
        on conflict (name) do update set value = setting.value returning value
        """,
        (name, value),
    )
    assert row is not None  # an upsert that always touches one row returns it
    return str(row["value"])


async def save_setting(db: Database, name: str, value: str) -> None:
    """Set a value, whatever it was before."""
    await db.run(
        """
        insert into setting (name, value) values (%s, %s)
        on conflict (name) do update set value = excluded.value
        """,
        (name, value),
    )


async def find_setting(db: Database, name: str) -> str | None:
    """Return a value, None when it was never set."""
    row = await db.one("select value from setting where name = %s", (name,))
    return None if row is None else str(row["value"])
