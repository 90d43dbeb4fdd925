"""Keys, logins, members and projects, as the database keeps them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from conftest import PEPPER, Installation, install
from teachback.errors import Conflict, Invalid, NotFound, Unauthenticated
from teachback.model.ids import new_id
from teachback.model.project import Member, Project
from teachback.record import access
from teachback.store import keys, logins, projects
from teachback.store.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def alices(db: Database) -> Installation:
    """Alice's project."""
    return await install(db)


async def test_secret_of_a_key_is_nowhere_in_the_database(
    db: Database, dsn: str, alices: Installation
) -> None:
    """Whoever reads the whole database can call nothing and sign nobody in."""
    row = await db.one("select array_agg(k::text) as keys from api_key k")
    links = await db.one("select array_agg(l::text) as logins from login l")
    kept = str(row) + str(links)
    for secret in (alices.secret_key, alices.public_key):
        assert secret.split("_")[3] not in kept
        assert secret.encode().hex() not in kept
    assert alices.login_token not in kept
    assert alices.login_token.encode().hex() not in kept


async def test_key_is_proved_by_its_whole_text_alone(db: Database, alices: Installation) -> None:
    """One other character, another pepper, or no such key: all are refused alike."""
    secret = alices.secret_key
    stored = await keys.find_key(db, access.public_part(secret))
    assert access.check_secret(stored, PEPPER, secret).project_id == alices.project.id
    changed = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    said = set()
    for known, pepper, text in ((stored, PEPPER, changed), (stored, b"other", secret),
                                (None, PEPPER, secret)):  # fmt: skip
        with pytest.raises(Unauthenticated) as refused:
            access.check_secret(known, pepper, text)
        said.add(refused.value.message)
    assert len(said) == 1


async def test_revoked_key_is_listed_and_not_found(db: Database, alices: Installation) -> None:
    """Revoking again keeps the first time; another project's key is out of reach."""
    key_id = access.public_part(alices.secret_key)
    stranger = await install_another(db)
    with pytest.raises(NotFound):
        await keys.revoke_key(db, stranger.id, key_id)
    await keys.revoke_key(db, alices.project.id, key_id)
    first = (await keys.list_keys(db, alices.project.id))[0].revoked_at
    await keys.revoke_key(db, alices.project.id, key_id)
    assert (await keys.list_keys(db, alices.project.id))[0].revoked_at == first is not None
    assert await keys.find_key(db, key_id) is None


async def install_another(db: Database) -> Project:
    """Charlie's project."""
    return await access.make_project(db, "Charlie's")


async def test_link_signs_in_once_when_used_twice_at_once(
    db: Database, alices: Installation
) -> None:
    """Two browsers press Continue at the same moment: one gets in."""
    hashed = access.token_hash(alices.login_token)
    used = await asyncio.gather(*[logins.use_link(db, hashed) for _ in range(4)])
    assert sorted(used, key=str) == [alices.alice.id, None, None, None]


async def test_link_is_no_login_and_a_login_no_link(db: Database, alices: Installation) -> None:
    """A leaked cookie cannot be used as a link, nor a link as a cookie."""
    link = access.token_hash(alices.login_token)
    token = await access.make_login(
        db, alices.alice.id, kind="browser", lifetime=timedelta(hours=1)
    )
    assert await logins.find_login(db, link) is None
    assert await logins.use_link(db, access.token_hash(token)) is None
    assert await logins.find_login(db, access.token_hash(token)) == alices.alice.id


async def test_login_ends_by_itself(db: Database, alices: Installation) -> None:
    """Expired ones are refused at once and forgotten by the next clean-up."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    for kind, name in (("browser", b"b"), ("link", b"l")):
        await logins.save_login(db, name, alices.alice.id, kind=kind, expires_at=past)  # type: ignore[arg-type]
    assert await logins.find_login(db, b"b") is None
    assert await logins.use_link(db, b"l") is None
    assert await logins.delete_expired(db) == 2


async def test_new_password_ends_all_logins(db: Database, alices: Installation) -> None:
    """Whoever had the old one is out."""
    token = await access.make_login(
        db, alices.alice.id, kind="browser", lifetime=timedelta(hours=1)
    )
    await projects.set_password(db, alices.alice.id, access.hash_password("four random words"))
    assert await logins.find_login(db, access.token_hash(token)) is None
    found = await projects.find_member(db, alices.alice.email.upper())
    assert found is not None
    assert access.check_password(found[1], "four random words")
    assert not access.check_password(found[1], "four random word")
    assert not access.check_password(None, "four random words")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
async def test_password_has_bounds_and_is_not_repeated(password: str) -> None:
    """Too short is guessed; too long is work for a stranger to order."""
    with pytest.raises(Invalid) as refused:
        access.hash_password(password)
    assert refused.value.value is None


async def test_email_address_belongs_to_one_member(db: Database, alices: Installation) -> None:
    """Whatever its case; the second one leaves nothing behind."""
    twin = Member(id=new_id(), email=alices.alice.email.upper(), name="Twin",
                  roles={alices.project.id: "owner"})  # fmt: skip
    with pytest.raises(Conflict):
        await projects.save_member(db, twin)
    with pytest.raises(NotFound):
        await projects.get_member(db, twin.id)


async def test_member_sees_the_projects_they_belong_to(db: Database, alices: Installation) -> None:
    """Charlie's is not among Alice's, until she gets a role there; a role can change."""
    other = await install_another(db)
    mine = await projects.list_projects(db, member_id=alices.alice.id)
    assert [project.id for project in mine] == [alices.project.id]
    await projects.save_role(db, other.id, alices.alice.id, "viewer")
    await projects.save_role(db, other.id, alices.alice.id, "editor")
    roles = (await projects.get_member(db, alices.alice.id)).roles
    assert roles == {alices.project.id: "owner", other.id: "editor"}


async def test_only_one_process_is_alone_at_a_time(db: Database, dsn: str) -> None:
    """What a first start does once is done once."""
    inside: list[str] = []

    async def visit(name: str) -> None:
        async with db.alone():
            inside.append(name)
            await asyncio.sleep(0.05)
            inside.append(name)

    await asyncio.gather(visit("a"), visit("b"))
    assert inside in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


async def test_role_that_is_none_is_refused(db: Database, alices: Installation) -> None:
    """The closed set of roles holds in the database, too."""
    with pytest.raises(psycopg.errors.CheckViolation):
        await projects.save_role(db, alices.project.id, alices.alice.id, "king")  # type: ignore[arg-type]
