"""Members with a role, signed in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import httpx2

from conftest import Server
from teachback.model.ids import new_id
from teachback.model.project import Member, Role
from teachback.record import access
from teachback.store import projects
from teachback.store.database import Database


@contextlib.contextmanager
def signed_in_as(
    server: Server, role: Role, *, own_project: bool = False
) -> Iterator[httpx2.Client]:
    """Lend the browser of a new member with this role, in Alice's project or one of their own."""
    token = asyncio.run(_sign_up(server, role, own_project=own_project))
    with httpx2.Client(base_url=server.url, follow_redirects=True, timeout=30) as client:
        client.headers["accept"] = "text/html"
        assert client.post(f"/login/{token}").status_code == 200
        yield client


async def _sign_up(server: Server, role: Role, *, own_project: bool) -> str:
    """Make a member with one role; return a token that signs them in."""
    db = Database(server.dsn, max_size=2)
    await db.open()
    try:
        project = server.installation.project
        if own_project:
            project = await access.make_project(db, "Another")
        name = new_id()
        member = Member(id=name, email=f"{name}@example.com", name="Bob", roles={project.id: role})
        await projects.save_member(db, member)
        return await access.make_login(db, member.id, kind="link", lifetime=access.LINK_LIFETIME)
    finally:
        await db.close()
