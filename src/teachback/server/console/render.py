"""Turn a view into a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from teachback.errors import Forbidden, NotFound, TeachbackError, Unavailable
from teachback.server.console.views import formats
from teachback.server.console.views.filterbox import field_help
from teachback.server.console.views.highlight import highlight
from teachback.server.problems import status_of

if TYPE_CHECKING:
    from teachback.server.console.visit import Visit

THEME_COOKIE = "teachback_theme"
#: Where the demo is mounted, when it runs.
STORY = "/demo"
THEMES = ("light", "dark", "system")

#: What people wrote must not stay in a shared browser's cache after signing out.
PRIVATE = {"cache-control": "no-store"}

#: Title and advice for what can go wrong on a page.
FAILURES: tuple[tuple[type[TeachbackError], str, str], ...] = (
    (
        NotFound,
        "There is nothing here",
        "The address may be mistyped, or it is in another project.",
    ),
    (Forbidden, "Not with your role", "An owner of the project can give you the role it needs."),
    (Unavailable, "Back in a moment", "A part of the server is away. Load the page again shortly."),
    (TeachbackError, "That did not work", "Go back, change what the message names, and try again."),
)


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page knows besides its own view."""

    path: str
    theme: str
    now: datetime
    #: The demo's story page is served beside the console.
    story: bool
    #: Names of who is signed in, and of their project; empty before the sign-in.
    member: str = ""
    project: str = ""


def page(
    request: Request,
    template: str,
    *,
    visit: Visit | None = None,
    status: int = 200,
    **view: object,
) -> Response:
    """Render a template with its view."""
    html = ENVIRONMENT.get_template(template).render(shell=_shell(request, visit), **view)
    return HTMLResponse(html, status_code=status, headers=PRIVATE)


def error_page(request: Request, error: TeachbackError, visit: Visit | None = None) -> Response:
    """Say on a page what went wrong, with its status."""
    title, advice = next(
        (title, advice) for kind, title, advice in FAILURES if isinstance(error, kind)
    )
    status = status_of(error)
    answer = page(
        request, "error.html", visit=visit, status=status,
        code=status, title=title, advice=advice, message=formats.sentence(error.message),
    )  # fmt: skip
    if isinstance(error, Unavailable):
        answer.headers["retry-after"] = f"{error.retry_after_s:.0f}"
    return answer


def theme_of(request: Request) -> str:
    """Return the visitor's choice of theme; the system decides when there is none."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"


def path_of(collection: str, name: str) -> str:
    """Return the path of one record; ids are any text, so every byte of them is encoded."""
    return f"/{collection}/{quote(name, safe='')}"


def _shell(request: Request, visit: Visit | None) -> Shell:
    return Shell(
        path=request.url.path,
        theme=theme_of(request),
        now=datetime.now(UTC),
        story=any(getattr(route, "path", "") == STORY for route in request.app.routes),
        member=(visit.member.name or visit.member.email) if visit else "",
        project=visit.project.name if visit else "",
    )


def _asset(path: str) -> str:
    """Return the address of a static file; it changes with the content, so caches never lie."""
    if path not in _VERSIONS:
        content = files("teachback.server.console").joinpath("static", path).read_bytes()
        _VERSIONS[path] = sha256(content).hexdigest()[:10]
    return f"/static/{path}?v={_VERSIONS[path]}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("teachback.server.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(asset=_asset, path_of=path_of)
    names = (
        "ago", "count", "duration", "exact", "excerpt", "milliseconds", "percent", "plural",
        "sample", "share",
    )  # fmt: skip
    environment.filters.update({name: getattr(formats, name) for name in names})
    environment.filters["highlight"] = highlight
    environment.globals["filter_fields"] = field_help()
    environment.globals["ui"] = environment.get_template("parts/ui.html").module
    return environment


_VERSIONS: dict[str, str] = {}
ENVIRONMENT = _environment()
