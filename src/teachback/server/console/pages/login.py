"""Signing in and out, and the choice of theme."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from teachback.errors import Invalid, TeachbackError
from teachback.model.project import Member
from teachback.record.access import LOGIN_LIFETIME, check_password, make_login, token_hash
from teachback.server.auth import COOKIE
from teachback.server.console.render import THEME_COOKIE, THEMES, error_page, page
from teachback.server.console.visit import see_other
from teachback.server.context import context
from teachback.store import logins, projects

#: A check of a password takes 64 MiB: more at a time would let strangers fill the memory.
_CHECKS = asyncio.Semaphore(2)
THEME_LIFETIME = timedelta(days=365)


async def show(request: Request) -> Response:
    """Show the sign-in form."""
    return _form(request, wanted=request.query_params.get("next", ""))


async def sign_in(request: Request) -> Response:
    """Check the password; the same answer and time for an unknown member and a wrong word."""
    form = await request.form()
    email, password = str(form.get("email", "")), str(form.get("password", ""))
    wanted = str(form.get("next", ""))
    tries = _Tries(request, email)
    if tries.wait_s > 0:
        return _too_often(request, tries.wait_s, wanted=wanted, email=email)
    try:
        tries.note()
        member = await _member(request, email.strip().replace("\0", ""), password)
        if member is None:
            problem = "The e-mail address or the password is not right."
            return _form(request, wanted=wanted, email=email, problem=problem, status=401)
        tries.refund()
        return await _signed_in(request, member.id, wanted)
    except TeachbackError as error:
        return error_page(request, error)


class _Tries:
    """The tries that this sign-in counts among: of its e-mail address, and of its client."""

    def __init__(self, request: Request, email: str) -> None:
        ctx = context(request)
        client = request.client.host if request.client else ""
        self._counted = [
            (ctx.sign_ins_by_email, email.strip().lower()),
            (ctx.sign_ins_by_client, client),
        ]

    @property
    def wait_s(self) -> float:
        return max(attempts.wait_s(name) for attempts, name in self._counted)

    def note(self) -> None:
        for attempts, name in self._counted:
            attempts.note(name)

    def refund(self) -> None:
        for attempts, name in self._counted:
            attempts.refund(name)


def _too_often(request: Request, wait_s: float, *, wanted: str, email: str) -> Response:
    minutes = math.ceil(wait_s / 60)
    when = "a minute" if minutes == 1 else f"{minutes} minutes"
    problem = f"Too many tries. Try again in {when}, or sign in by a one-time link."
    answer = _form(request, wanted=wanted, email=email, problem=problem, status=429)
    answer.headers["retry-after"] = str(math.ceil(wait_s))
    return answer


async def show_link(request: Request) -> Response:
    """Ask before a one-time link is used up: programs that preview links only read them."""
    return page(request, "login_link.html", problem="", link_command=context(request).login_command)


async def use_link(request: Request) -> Response:
    """Sign in by a one-time link."""
    hashed = token_hash(request.path_params["token"])
    try:
        member_id = await logins.use_link(context(request).db, hashed)
        if member_id is not None:
            return await _signed_in(request, member_id, request.query_params.get("next", ""))
    except TeachbackError as error:
        return error_page(request, error)
    problem = "It was used before, or its time has run out."
    return page(
        request,
        "login_link.html",
        status=410,
        problem=problem,
        link_command=context(request).login_command,
    )


async def sign_out(request: Request) -> Response:
    """Forget this browser."""
    cookie = request.cookies.get(COOKIE)
    try:
        if cookie:
            await logins.delete_login(context(request).db, token_hash(cookie))
    except TeachbackError as error:
        return error_page(request, error)
    answer = see_other("/login")
    answer.delete_cookie(COOKIE, path="/")
    return answer


async def choose_theme(request: Request) -> Response:
    """Remember light, dark or the system's theme, and go back to where the choice was made."""
    theme = str((await request.form()).get("theme", ""))
    if theme not in THEMES:
        rule = "a theme is " + ", ".join(THEMES)
        return error_page(request, Invalid("theme", value=theme, rule=rule, fix="Choose one"))
    answer = see_other(_came_from(request))
    answer.set_cookie(
        THEME_COOKIE, theme, max_age=int(THEME_LIFETIME.total_seconds()), samesite="lax"
    )
    return answer


async def _member(request: Request, email: str, password: str) -> Member | None:
    found = await projects.find_member(context(request).db, email)
    async with _CHECKS:
        right = await run_in_threadpool(check_password, found and found[1], password)
    return found[0] if found and right else None


async def _signed_in(request: Request, member_id: str, wanted: str) -> Response:
    token = await make_login(
        context(request).db, member_id, kind="browser", lifetime=LOGIN_LIFETIME
    )
    answer = see_other(_inside(wanted))
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(LOGIN_LIFETIME.total_seconds()),
        httponly=True,
        secure=_is_secure(request),
        samesite="lax",
    )
    return answer


def _is_secure(request: Request) -> bool:
    """Tell whether browsers reach us by https, directly or through a proxy."""
    return request.url.scheme == "https" or context(request).public_url.startswith("https://")


def _inside(wanted: str) -> str:
    """Return the wanted path when it is one of ours: a sign-in must not lead to another site."""
    # Browsers read a backslash as a slash, and leave out tabs and line ends.
    plain = wanted.isprintable() and "\\" not in wanted
    return wanted if plain and wanted.startswith("/") and not wanted.startswith("//") else "/"


def _came_from(request: Request) -> str:
    origin = f"{request.url.scheme}://{request.url.netloc}"
    return _inside(request.headers.get("referer", "").removeprefix(origin))


def _form(
    request: Request, *, wanted: str, email: str = "", problem: str = "", status: int = 200
) -> Response:
    return page(
        request, "login.html", status=status,
        next=wanted, email=email, problem=problem, link_command=context(request).login_command,
    )  # fmt: skip
