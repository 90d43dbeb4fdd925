"""Projects, members and their roles."""

from __future__ import annotations

import json
from dataclasses import asdict

from teachback.errors import Conflict, NotFound
from teachback.model.project import Member, Metric, Project, Reason, Role
from teachback.model.recall import Rules
from teachback.store.database import Database, Row
from teachback.store.lessons import CHANNEL


async def save_project(db: Database, project: Project) -> None:
    """Add a project."""
    await db.run(
        """
        insert into project (id, name, reasons, metrics, created_at)
        values (%s, %s, %s, %s, %s)
        """,
        (project.id, project.name, _as_list(project.reasons), _as_list(project.metrics),
         project.created_at),
    )  # fmt: skip


async def change_project(
    db: Database,
    project_id: str,
    *,
    name: str | None,
    reasons: tuple[Reason, ...] | None,
    metrics: tuple[Metric, ...] | None,
    keep_days: int | None = None,
) -> Project:
    """Change what is not None, and nothing that others change at the same moment."""
    row = await db.one(
        """
        update project set name = coalesce(%s, name), reasons = coalesce(%s, reasons),
            metrics = coalesce(%s, metrics), keep_days = coalesce(%s, keep_days)
        where id = %s returning *
        """,
        (name, _as_list(reasons), _as_list(metrics), keep_days, project_id),
    )
    if row is None:
        raise NotFound("no project has this id")
    return _from_row(row)


async def get_project(db: Database, project_id: str) -> Project:
    """Return a project; raises NotFound."""
    row = await db.one("select * from project where id = %s", (project_id,))
    if row is None:
        raise NotFound("no project has this id")
    return _from_row(row)


async def get_rules(db: Database, project_id: str) -> Rules:
    """Return how a project wants lessons to be chosen and given; the defaults when it is gone."""
    row = await db.one("select recall from project where id = %s", (project_id,))
    return Rules.of(row["recall"] if row else {})


async def change_rules(db: Database, project_id: str, changes: dict[str, object]) -> Rules:
    """Change what is named, None back to its default; every replica follows within a second."""
    async with db.transaction() as connection:
        cursor = await connection.execute(
            "update project set recall = jsonb_strip_nulls(recall || %s) where id = %s "
            "returning recall",
            (json.dumps(changes), project_id),
        )
        row = await cursor.fetchone()
        if row is None:
            raise NotFound("no project has this id")
        await connection.execute("select pg_notify(%s, %s)", (CHANNEL, project_id))
    return Rules.of(row["recall"])


async def list_projects(db: Database, *, member_id: str | None = None) -> list[Project]:
    """Return all projects, or those of a member, oldest first."""
    rows = await db.all(
        """
        select * from project where %(member)s::uuid is null or id in (
            select project_id from membership where member_id = %(member)s)
        order by created_at, id limit 1000
        """,
        {"member": member_id},
    )
    return [_from_row(row) for row in rows]


async def save_member(db: Database, member: Member, *, password_hash: str | None = None) -> None:
    """Add a member with their roles; raises Conflict when the e-mail address is taken."""
    async with db.transaction() as connection:
        cursor = await connection.execute(
            """
            insert into member (id, email, name, password_hash, created_at)
            values (%s, lower(%s), %s, %s, now()) on conflict do nothing
            """,
            (member.id, member.email, member.name, password_hash),
        )
        if cursor.rowcount == 0:
            raise Conflict("a member with this e-mail address exists")
        for project_id, role in member.roles.items():
            await connection.execute(
                "insert into membership (project_id, member_id, role) values (%s, %s, %s)",
                (project_id, member.id, role),
            )


async def save_role(db: Database, project_id: str, member_id: str, role: Role) -> None:
    """Give a member a role in a project."""
    await db.run(
        """
        insert into membership (project_id, member_id, role) values (%s, %s, %s)
        on conflict (project_id, member_id) do update set role = excluded.role
        """,
        (project_id, member_id, role),
    )


async def copy_owners(db: Database, from_project_id: str, to_project_id: str) -> None:
    """Make the owners of one project owners of another."""
    await db.run(
        """
        insert into membership (project_id, member_id, role)
        select %s, member_id, role from membership where project_id = %s and role = 'owner'
        on conflict do nothing
        """,
        (to_project_id, from_project_id),
    )


async def set_password(db: Database, member_id: str, password_hash: str) -> None:
    """Replace a member's password hash, and end their other logins."""
    async with db.transaction() as connection:
        await connection.execute(
            "update member set password_hash = %s where id = %s", (password_hash, member_id)
        )
        await connection.execute("delete from login where member_id = %s", (member_id,))


async def get_member(db: Database, member_id: str) -> Member:
    """Return a member with roles; raises NotFound."""
    row = await db.one("select * from member where id = %s", (member_id,))
    if row is None:
        raise NotFound("no member has this id")
    return await _with_roles(db, row)


async def find_member(db: Database, email: str) -> tuple[Member, str | None] | None:
    """Return the member with this e-mail address and their password hash."""
    row = await db.one("select * from member where email = lower(%s)", (email,))
    return None if row is None else (await _with_roles(db, row), row["password_hash"])


async def first_member(db: Database) -> Member | None:
    """Return the member who set this installation up."""
    row = await db.one("select * from member order by created_at, id limit 1")
    return None if row is None else await _with_roles(db, row)


async def _with_roles(db: Database, row: Row) -> Member:
    roles = await db.all(
        "select project_id::text, role from membership where member_id = %s", (row["id"],)
    )
    return Member(
        id=str(row["id"]),
        email=row["email"],
        name=row["name"],
        roles={role["project_id"]: role["role"] for role in roles},
    )


def _as_list(items: tuple[Reason, ...] | tuple[Metric, ...] | None) -> str | None:
    return None if items is None else json.dumps([asdict(item) for item in items])


def _from_row(row: Row) -> Project:
    return Project(
        id=str(row["id"]),
        name=row["name"],
        reasons=tuple(Reason(**reason) for reason in row["reasons"]),
        metrics=tuple(Metric(**metric) for metric in row["metrics"]),
        recall=Rules.of(row["recall"]),
        keep_days=row["keep_days"],
        created_at=row["created_at"],
    )
