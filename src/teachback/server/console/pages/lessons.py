"""Lessons: the list, one lesson with all that speaks for it, and what reviewers do with it."""

from __future__ import annotations

from typing import cast, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from teachback.act import curate
from teachback.act.curate import Wording
from teachback.act.evidence import list_evidence
from teachback.act.lessons import MAY_APPROVE
from teachback.act.preview import Preview, preview
from teachback.act.proposals import propose_all
from teachback.errors import Conflict, Invalid, TeachbackError, Unavailable
from teachback.model.lesson import Actor, Lesson, LessonKind, LessonState, LessonVersion
from teachback.server import paging as cursors
from teachback.server.auth import member_actor
from teachback.server.console.pages.paging import PAGE_SIZE, paging
from teachback.server.console.render import page, path_of
from teachback.server.console.views.forms import line_of, text_of
from teachback.server.console.views.lessons import (
    KIND_TITLES,
    event_view,
    evidence_views,
    lesson_page,
    lesson_row,
    read_scope,
    scope_line,
)
from teachback.server.console.visit import Visit, see_other
from teachback.server.problems import status_of
from teachback.store import lessons as store
from teachback.store.injections import count_given
from teachback.store.lessons import LessonFilters
from teachback.store.prompts import list_prompts
from teachback.store.traces import get_trace

PATH = "/lessons"
TABS: tuple[tuple[str, str], ...] = (
    ("", "All"), ("waiting", "To review"), ("approved", "Approved"), ("canary", "In canary"),
    ("live", "Live"), ("retired", "Retired"),
)  # fmt: skip
MAX_REASON = 1_000


async def show_list(visit: Visit) -> Response:
    """Show lessons, last changed first, narrowed by a tab."""
    asked = visit.request.query_params
    tab, feedback = asked.get("state", ""), asked.get("learned_from", "")
    cursor = asked.get("cursor")
    states = get_args(LessonState)
    filters = LessonFilters(
        state=tab if tab in states else None,  # type: ignore[arg-type]
        waiting=True if tab == "waiting" else None,
        feedback_ids=tuple(feedback.split(",")) if feedback else None,
    )
    found = await store.list_lessons(
        visit.db, visit.project.id, filters, before=cursors.decode(cursor), limit=PAGE_SIZE + 1
    )
    shown = found[:PAGE_SIZE]
    last = (shown[-1].updated_at, shown[-1].id) if len(found) > PAGE_SIZE else None
    given = await count_given(visit.db, visit.project.id, [one.id for one in shown])
    values = {name: value for name, value in (("state", tab), ("learned_from", feedback)) if value}
    return page(
        visit.request, "lessons.html", visit=visit,
        rows=[lesson_row(one, given.get(one.id, 0)) for one in shown],
        tabs=[(title, f"{PATH}?state={name}" if name else PATH, name == tab)
              for name, title in TABS],
        narrowed=bool(values), learned_from=bool(feedback),
        off=await store.find_switch(visit.db, visit.project.id), may=may_approve(visit),
        paging=paging(PATH, values, here=cursor, last=last),
    )  # fmt: skip


async def show(visit: Visit) -> Response:
    """Show a lesson; raises NotFound."""
    return await _page(visit)


async def show_new(visit: Visit) -> Response:
    """Show the form for a lesson of one's own, about a trace when one is named."""
    trace_id = visit.request.query_params.get("trace", "")
    situation = ""
    if trace_id:
        situation = (await get_trace(visit.db, visit.project.id, trace_id)).query[:2_000]
    return page(
        visit.request, "lesson_new.html", visit=visit, kinds=KIND_TITLES, situation=situation,
        trace=path_of("traces", trace_id) if trace_id else "",
        nothing=trace_id and "nothing" in visit.request.query_params,
    )  # fmt: skip


async def make(visit: Visit) -> Response:
    """Draft a lesson from the form; raises Forbidden or Invalid."""
    form = await visit.request.form()
    kind = str(form.get("kind", ""))
    if kind not in get_args(LessonKind):
        raise Invalid("kind", value=kind, rule="a lesson is of one of four kinds",
                      fix="Choose one of them")  # fmt: skip
    answer = str(form.get("answer", "")).strip() if kind == "example" else ""
    situation = text_of(form.get("situation"), "situation", most=2_000)
    text = situation if kind == "example" else text_of(form.get("text"), "text", most=4_000)
    wording = Wording(
        situation=situation, text=text,
        answer=text_of(answer, "answer", most=8_000) if kind == "example" else None,
        scope=read_scope(str(form.get("scope", ""))),
        reason=str(form.get("reason", ""))[:MAX_REASON],
    )  # fmt: skip
    lesson = await curate.draft(
        visit.db, visit.project.id, cast("LessonKind", kind), wording, by=actor(visit)
    )
    return see_other(path_of("lessons", lesson.id))


async def propose(visit: Visit) -> Response:
    """Draft what follows from the feedback on a trace; raises Forbidden or NotFound."""
    form = await visit.request.form()
    trace_id = str(form.get("trace", ""))
    drafted = await propose_all(
        visit.db, visit.project.id, trace_id, visit.project.reasons, by=actor(visit),
        confirmed=bool(form.get("confirmed")), chat=visit.context.chat,
    )  # fmt: skip
    if not drafted:
        return see_other(f"{PATH}/new?" + urlencode({"trace": trace_id, "nothing": "yes"}))
    if len(drafted) == 1:
        return see_other(path_of("lessons", drafted[0].id))
    learned = ",".join(sorted({one for lesson in drafted for one in lesson.provenance}))
    return see_other(f"{PATH}?" + urlencode({"learned_from": learned}))


async def edit(visit: Visit) -> Response:
    """Write a new version; what was approved stays in force."""
    form = await visit.request.form()

    def change(latest: LessonVersion) -> Wording:
        answer = form.get("answer")
        return Wording(
            situation=text_of(form.get("situation"), "situation", most=2_000),
            text=text_of(form.get("text"), "text", most=4_000),
            answer=None if answer is None else text_of(answer, "answer", most=8_000),
            scope=read_scope(str(form.get("scope", ""))),
            priority=latest.priority, expires_at=latest.expires_at, provenance=latest.provenance,
            reason=str(form.get("reason", ""))[:MAX_REASON],
        )  # fmt: skip

    try:
        await curate.edit(visit.db, visit.project.id, _id(visit), change, by=actor(visit))
    except (Invalid, Conflict) as error:
        return await _page(visit, error)
    return see_other(path_of("lessons", _id(visit)))


async def act(visit: Visit) -> Response:
    """Approve, move, decline or kill; what cannot be done is told beside the lesson."""
    form = await visit.request.form()
    try:
        reason = line_of(
            form.get("reason"), "reason", most=MAX_REASON, fix="Say why, for those who ask later"
        )
        version, despite = str(form.get("version", "")), str(form.get("despite", "")).split()
        await _act(visit, str(form.get("action", "")), reason, version, despite)
    except (Invalid, Conflict) as error:
        return await _page(visit, error)
    return see_other(path_of("lessons", _id(visit)))


async def switch(visit: Visit) -> Response:
    """Switch all lessons of the project off, or on again; raises Forbidden."""
    form = await visit.request.form()
    reason = line_of(form.get("reason"), "reason", most=MAX_REASON, fix="Say why")
    off = form.get("off") == "yes"
    await curate.switch(visit.db, visit.project.id, off=off, by=actor(visit), reason=reason)
    return see_other(PATH)


def actor(visit: Visit) -> Actor:
    """Return the member as who acts; raises Forbidden."""
    return member_actor(visit.member, visit.project.id)


def may_approve(visit: Visit) -> bool:
    """Tell whether the member may let lessons reach prompts."""
    return visit.member.roles.get(visit.project.id) in MAY_APPROVE


async def _act(visit: Visit, action: str, reason: str, version: str, despite: list[str]) -> Lesson:
    db, project_id, lesson_id, by = visit.db, visit.project.id, _id(visit), actor(visit)
    embedder = visit.context.embedder
    if action == "approve" and version.isdecimal() and len(version) < 10:
        return await curate.approve(
            db, project_id, lesson_id, int(version), by=by, reason=reason, despite=despite,
            embedder=embedder,
        )  # fmt: skip
    if action == "decline":
        return await curate.decline(db, project_id, lesson_id, by=by, reason=reason)
    if action in ("kill", "revive"):
        return await curate.kill(
            db, project_id, lesson_id, off=action == "kill", by=by, reason=reason
        )
    for state in get_args(LessonState):
        if state == action and state != "draft":
            return await curate.move(
                db, project_id, lesson_id, state, by=by, reason=reason, despite=despite,
                embedder=embedder,
            )  # fmt: skip
    raise Invalid("action", value=action, rule="this cannot be done to a lesson",
                  fix="Choose one of the buttons")  # fmt: skip


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["id"])


async def _page(visit: Visit, problem: TeachbackError | None = None) -> Response:
    db, project_id = visit.db, visit.project.id
    lesson = await store.get_lesson(db, project_id, _id(visit))
    versions = await store.list_versions(db, project_id, lesson.id)
    like = await curate.like(db, lesson, visit.context.embedder)
    view = lesson_page(lesson, versions, like)
    shown = view.waiting or versions[-1]
    given = await count_given(db, project_id, [lesson.id])
    return page(
        visit.request, "lesson.html", visit=visit, status=status_of(problem) if problem else 200,
        view=view, shown=view.waiting or lesson, like=like,
        evidence=evidence_views(
            await list_evidence(db, project_id, shown.provenance), visit.project.reasons
        ),
        events=[event_view(one) for one in await store.list_events(db, project_id, lesson.id)],
        preview=await _preview(visit, lesson, view.waiting or _in_force(lesson, versions)),
        given=given.get(lesson.id, 0), scope_text=scope_line((view.waiting or lesson).scope),
        problem=problem.message if problem else "", may=may_approve(visit),
        prompts=await _prompts(visit, lesson),
    )  # fmt: skip


async def _prompts(visit: Visit, lesson: Lesson) -> list[str]:
    """Return the prompts that a lesson can be merged into."""
    if lesson.kind != "guidance" or lesson.state != "live":
        return []
    found = await list_prompts(visit.db, visit.project.id)
    return [one.name for one in found if one.production is not None]


def _in_force(lesson: Lesson, versions: list[LessonVersion]) -> LessonVersion:
    return next(one for one in versions if one.version == lesson.version)


async def _preview(visit: Visit, lesson: Lesson, wording: LessonVersion) -> Preview | None:
    """Return what it would have done; None while that cannot be told."""
    try:
        snapshot = await visit.context.live.get(visit.project.id)
    except Unavailable:
        return None
    return await preview(
        visit.db, lesson, wording, rules=snapshot.rules, gate=snapshot.gate,
        embedder=visit.context.embedder,
    )  # fmt: skip
