"""The story page: a chat with the assistant beside the steps from a complaint to its proof."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import httpx2
import jinja2
import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import teachback
from teachback.demo.api import Api, Json
from teachback.demo.assistant import Assistant
from teachback.demo.chat_model import ChatModel
from teachback.demo.passages import ExtraText
from teachback.demo.reply import Message
from teachback.demo.reviewer import Reviewer
from teachback.demo.story import Links, Seen, steps, suggest
from teachback.demo.tell import describe_reply
from teachback.demo.world import draw

HERE = Path(__file__).parent
VISITOR_COOKIE, TRAIL_COOKIE, OTHERS_COOKIE = "demo_visitor", "demo_trail", "demo_others"
DRAFT_COOKIE = "demo_draft"
_VISITOR = re.compile(r"visitor-[0-9a-f]{16}")
#: A visitor may come back within a month, as long as feedback tokens live.
COOKIE_AGE_S = 30 * 24 * 3600
MAX_QUERY_CHARS = 2000
MAX_BODY_BYTES = 16 * 1024
#: Earlier turns that the assistant is reminded of.
REMEMBERED_TURNS = 3
#: Cases like the visitor's that are looked for, and shown.
SIMILAR, SHOWN_SIMILAR = 20, 3
#: How long an answer waits until its trace is stored, so that the page sees it at once.
FLUSH_TIMEOUT_S = 3.0
#: How long an answer waits for what was learned: a visitor is more patient than a busy service.
RECALL_TIMEOUT_S = 2.0
#: What templates can make use of, and what a language model can follow besides.
KINDS, KINDS_WITH_MODEL = ("example", "fact", "template"), ("guidance",)


class _Question(msgspec.Struct):
    query: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Whoever looks at the page, by a cookie."""

    id: str

    @property
    def session_id(self) -> str:
        return f"{self.id}-chat"


class Story:
    """What the page's routes share."""

    def __init__(
        self,
        api_url: str,
        secret_key: str,
        public_key: str,
        reviewer_key: str,
        *,
        seed: int,
        model: ChatModel | None,
        spool_dir: Path | None,
    ) -> None:
        world = draw(seed)
        self.kinds = (*KINDS, *KINDS_WITH_MODEL) if model else KINDS
        self.reviewer = Reviewer(api_url, reviewer_key, kinds=self.kinds)
        self.public_key = public_key
        self.api = Api(api_url, secret_key)
        self.client = teachback.Client(
            api_url, secret_key, spool_dir=spool_dir, recall_timeout_s=RECALL_TIMEOUT_S
        )
        self.suggestions = suggest(world, Assistant(world.library()))
        self.assistant = Assistant(world.library(), model=model)
        self._known = {each.ask: each.know for each in self.suggestions}

    def close(self) -> None:
        """Deliver what waits and close the connections."""
        self.client.close()
        self.api.close()
        self.reviewer.close()

    def traces(self, visitor: Visitor) -> list[Json]:
        """Return what the visitor asked, oldest first."""
        return self.api.list("/v1/traces", user_id=visitor.id, limit=100)[::-1]

    def feedback(self, visitor: Visitor) -> list[Json]:
        """Return what the visitor said and did not take back, oldest first."""
        said = self.api.list("/v1/feedback", author=visitor.id, limit=200)[::-1]
        return [each for each in said if not each.get("withdrawn")]

    def others(self, visitor: Visitor, trace_id: str) -> list[str]:
        """Return what other people asked who had a problem like this one."""
        path = f"/v1/traces/{quote(trace_id, safe='')}/similar"
        found = self.api.list(path, limit=SIMILAR)
        asked = [each["query"] for each in found if each.get("user_id") != visitor.id]
        return list(dict.fromkeys(asked))[:SHOWN_SIMILAR]

    def answer(self, visitor: Visitor, query: str) -> Json:
        """Answer, and tell Teachback about it."""
        turns = self.traces(visitor)
        with self.client.trace(query, user_id=visitor.id, session_id=visitor.session_id) as trace:
            trace.turn, trace.role, trace.surface = len(turns) + 1, "visitor", "story page"
            trace.release = self.assistant.library.release
            extras = self.learned(query)
            describe_reply(trace, self.assistant.answer(query, _history(turns), extras))
        self.client.flush(timeout_s=FLUSH_TIMEOUT_S)
        return self.message(visitor, {"id": trace.id, "query": query, "output": trace.output}, [])

    def learned(self, query: str) -> list[ExtraText]:
        """Return what Teachback injects for a question, as texts that can be found like others."""
        asked = [{"role": "user", "content": query}]
        if self.client.inject(asked) is asked:
            return []
        return [
            ExtraText(
                id=one["id"], title=one["situation"], text=one.get("answer") or one["text"],
                version=str(one["version"]),
            )
            for one in self.client.recall(query).lessons
            if one["position"] is not None and one["kind"] in self.kinds
        ]  # fmt: skip

    def lesson(self, feedback: list[Json]) -> Json | None:
        """Return the lesson that was drafted from what the visitor said."""
        return self.reviewer.find([each["id"] for each in feedback])

    def message(self, visitor: Visitor, trace: Json, feedback: list[Json]) -> Json:
        """Return a turn as the page shows it."""
        return {
            "id": trace["id"],
            "query": trace["query"],
            "output": trace.get("output", ""),
            "know": self._known.get(trace["query"], ""),
            "token": self.client.feedback_token(trace["id"], user_id=visitor.id),
            "feedback": [each for each in feedback if each.get("trace_id") == trace["id"]],
        }


def app(
    api_url: str,
    secret_key: str,
    public_key: str,
    reviewer_key: str,
    *,
    seed: int,
    model: ChatModel | None = None,
    spool_dir: Path | None = None,
) -> Starlette:
    """Return the application to mount under `/demo`.

    `reviewer_key` acts for a member who may approve lessons. The API is asked nothing before the
    first request, so the server it is mounted in may still be starting. The pages use the
    console's style sheets under `/static/css`.
    """
    story = Story(
        api_url, secret_key, public_key, reviewer_key, seed=seed, model=model, spool_dir=spool_dir
    )
    made = Starlette(
        routes=[
            Route("/", _page),
            Route("/state", _state),
            Route("/chat", _chat, methods=["POST"]),
            Route("/draft", _draft, methods=["POST"]),
            Route("/approve", _approve, methods=["POST"]),
            Route("/restart", _restart, methods=["POST"]),
            Route("/trail/{trace_id}", _trail),
            Route("/others/{trace_id}", _others),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]
    )
    made.state.story = story
    made.state.template = _template()
    return made


def _page(request: Request) -> Response:
    story = _story(request)
    page = request.app.state.template.render(
        root=request.scope.get("root_path", ""),
        public_key=story.public_key,
        suggestions=[asdict(each) for each in story.suggestions],
        model=story.assistant.model.name if story.assistant.model else "",
        theme=request.cookies.get("teachback_theme", "system"),
    )
    response = HTMLResponse(page, headers={"cache-control": "no-store"})
    _remember(response, VISITOR_COOKIE, _visitor(request).id)
    return response


def _state(request: Request) -> Response:
    """Everything the page shows, from what the server knows."""
    story, visitor = _story(request), _visitor(request)
    try:
        traces, feedback = story.traces(visitor), story.feedback(visitor)
        told = {each.get("trace_id") for each in feedback}
        latest = next((trace["id"] for trace in reversed(traces) if trace["id"] in told), "")
        others = story.others(visitor, latest) if latest else []
        lesson = story.lesson(feedback)
    except httpx2.HTTPError:
        return _problem(503, "Teachback does not answer just now; try again in a moment.")
    root = request.scope.get("root_path", "")
    return JSONResponse(
        {
            "messages": [story.message(visitor, trace, feedback) for trace in traces],
            "steps": steps(
                traces,
                feedback,
                seen=Seen(
                    trail=request.cookies.get(TRAIL_COOKIE, ""),
                    others=request.cookies.get(OTHERS_COOKIE, ""),
                ),
                links=Links(
                    trail=f"{root}/trail/{latest}" if latest else "",
                    others=f"{root}/others/{latest}" if latest else "",
                    drafted=request.cookies.get(DRAFT_COOKIE, "") == latest != "",
                ),
                others=others,
                lesson=lesson,
            ),
        },
        headers={"cache-control": "no-store"},
    )


async def _chat(request: Request) -> Response:
    body = await request.body() if _is_small(request) else b""
    try:
        query = msgspec.json.decode(body, type=_Question).query.strip()
    except msgspec.MsgspecError:
        query = ""
    if not 0 < len(query) <= MAX_QUERY_CHARS:
        return _problem(400, f"A question has 1 to {MAX_QUERY_CHARS} characters.")
    try:
        return JSONResponse(
            await run_in_threadpool(_story(request).answer, _visitor(request), query)
        )
    except httpx2.HTTPError:
        return _problem(503, "Teachback does not answer just now; try again in a moment.")


def _trail(request: Request) -> Response:
    """Lead to a trail in the console, and remember that the visitor has seen it."""
    trace_id = request.path_params["trace_id"]
    response = RedirectResponse(f"/traces/{quote(trace_id, safe='')}", status_code=303)
    _remember(response, TRAIL_COOKIE, trace_id)
    return response


def _others(request: Request) -> Response:
    """Lead to the cases like the visitor's, and remember that they were seen."""
    trace_id = request.path_params["trace_id"]
    path = f"/traces/{quote(trace_id, safe='')}#similar"
    response = RedirectResponse(path, status_code=303)
    _remember(response, OTHERS_COOKIE, trace_id)
    return response


def _draft(request: Request) -> Response:
    """Draft a lesson from what the visitor said last."""
    story, visitor = _story(request), _visitor(request)
    try:
        told = [each["trace_id"] for each in story.feedback(visitor) if each.get("trace_id")]
        if not told:
            return _problem(400, "Say first what was wrong with an answer.")
        story.reviewer.draft(told[-1])
    except httpx2.HTTPError:
        return _problem(503, "Teachback does not answer just now; try again in a moment.")
    response = Response(status_code=204)
    _remember(response, DRAFT_COOKIE, told[-1])
    return response


def _approve(request: Request) -> Response:
    """Let the visitor's lesson into the assistant's answers."""
    story, visitor = _story(request), _visitor(request)
    try:
        lesson = story.lesson(story.feedback(visitor))
        if lesson is None:
            return _problem(400, "There is no draft to approve: draft one first.")
        story.reviewer.approve(lesson)
    except httpx2.HTTPError:
        return _problem(503, "Teachback does not answer just now; try again in a moment.")
    return Response(status_code=204)


def _restart(_: Request) -> Response:
    """Begin again as somebody else."""
    response = Response(status_code=204)
    _remember(response, VISITOR_COOKIE, _new_visitor())
    response.delete_cookie(TRAIL_COOKIE)
    response.delete_cookie(OTHERS_COOKIE)
    response.delete_cookie(DRAFT_COOKIE)
    return response


def _story(request: Request) -> Story:
    story: Story = request.app.state.story
    return story


def _visitor(request: Request) -> Visitor:
    """Return whose cookie it is; one that we did not make stands for somebody new."""
    known = _VISITOR.fullmatch(request.cookies.get(VISITOR_COOKIE, ""))
    return Visitor(id=known[0] if known else _new_visitor())


def _new_visitor() -> str:
    return f"visitor-{secrets.token_hex(8)}"


def _remember(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=COOKIE_AGE_S, httponly=True, samesite="lax")


def _history(turns: list[Json]) -> list[Message]:
    said: list[Message] = []
    for turn in turns[-REMEMBERED_TURNS:]:
        said.append(Message(role="user", text=turn["query"]))
        said.append(Message(role="assistant", text=turn.get("output") or ""))
    return said


def _is_small(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return length.isdigit() and int(length) <= MAX_BODY_BYTES


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status)


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(HERE / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    return environment.get_template("story.html")
