"""Who looks at which project: every page but the sign-in is given a visit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from teachback.errors import Forbidden, TeachbackError, Unauthenticated
from teachback.model.project import Member, Project, Role
from teachback.server.auth import current_member, current_project
from teachback.server.console.render import error_page
from teachback.server.context import Context, context
from teachback.store.database import Database

SEE_OTHER = 303

#: What each role may do in the console; keys open the whole project.
MAY_MANAGE_KEYS: tuple[Role, ...] = ("owner", "editor")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a signed-in member."""

    request: Request
    member: Member
    project: Project

    @property
    def context(self) -> Context:
        return context(self.request)

    @property
    def db(self) -> Database:
        return self.context.db

    def require(self, roles: tuple[Role, ...]) -> None:
        """Let through members with one of these roles; raises Forbidden."""
        role = self.member.roles.get(self.project.id)
        if role not in roles:
            allowed = " or ".join(roles)
            raise Forbidden(f"this needs the role {allowed} in {self.project.name}; ask an owner")


Page = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def signed_in(page: Page) -> Endpoint:
    """Show a page to members only; others sign in first and come back to it."""

    async def endpoint(request: Request) -> Response:
        visit: Visit | None = None
        try:
            member = await current_member(request)
            visit = Visit(request, member, await current_project(request, member))
            return await page(visit)
        except Unauthenticated:
            return to_login(request)
        except TeachbackError as error:
            return error_page(request, error, visit)

    return endpoint


def to_login(request: Request) -> Response:
    """Send a visitor to the sign-in, and back to a page they asked for."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = "" if request.method != "GET" or target == "/" else "?" + urlencode({"next": target})
    return RedirectResponse(f"/login{wanted}", status_code=SEE_OTHER)


def see_other(path: str) -> Response:
    """Answer a form that did its work: the browser loads `path`."""
    return RedirectResponse(path, status_code=SEE_OTHER)
