"""The whole table of the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.convertors import StringConvertor, register_url_convertor

from teachback.server import health
from teachback.server.api import (
    calibration,
    feedback,
    ingest,
    lessons,
    projects,
    prompts,
    proposals,
    recall,
    search,
    traces,
    trends,
)
from teachback.server.gateway import models
from teachback.server.gateway import routes as gateway


class _IdConvertor(StringConvertor):
    """Whatever a client chose: slashes and line ends are part of an id."""

    regex = "(?s:.+)"


register_url_convertor("id", _IdConvertor())

#: Method, path, handler, and who may call: secret key, public key, public key with a feedback
#: token, or anybody. Longer paths stand before the ones that would swallow them.
ROUTES: list[tuple[str, str, Any, str]] = [
    ("POST", "/v1/traces", ingest.post_traces, "secret"),
    ("GET", "/v1/traces", traces.list_traces, "secret"),
    ("GET", "/v1/traces/{trace_id:id}/similar", search.list_similar, "secret"),
    ("POST", "/v1/traces/{trace_id:id}/proposals", proposals.post_trace_proposals, "secret"),
    ("GET", "/v1/traces/{trace_id:id}", traces.get_trace, "secret"),
    ("POST", "/v1/batch", ingest.post_batch, "secret"),
    ("POST", "/v1/feedback", ingest.post_feedback, "token"),
    ("GET", "/v1/feedback", feedback.list_feedback, "token"),
    ("POST", "/v1/feedback/{feedback_id:id}/withdraw", feedback.withdraw_feedback, "token"),
    ("POST", "/v1/feedback/{feedback_id:id}/thread", feedback.post_thread, "token"),
    ("POST", "/v1/feedback/{feedback_id:id}/proposals", proposals.post_proposals, "secret"),
    ("GET", "/v1/feedback/{feedback_id:id}", feedback.get_feedback, "token"),
    ("GET", "/v1/sessions", traces.list_sessions, "secret"),
    ("GET", "/v1/sessions/{session_id:id}", traces.get_session, "secret"),
    ("GET", "/v1/search", search.search, "secret"),
    ("POST", "/v1/recall", recall.post_recall, "secret"),
    ("POST", "/v1/inject", recall.post_inject, "secret"),
    ("GET", "/v1/recall/calibration", calibration.get_calibration, "secret"),
    ("GET", "/v1/recall/lessons", recall.get_live_lessons, "secret"),
    ("GET", "/v1/trends", trends.get_trend, "secret"),
    ("GET", "/v1/changes", traces.list_changes, "secret"),
    ("GET", "/v1/lessons", lessons.list_lessons, "secret"),
    ("POST", "/v1/lessons", lessons.post_lesson, "secret"),
    ("GET", "/v1/lessons/{lesson_id}", lessons.get_lesson, "secret"),
    ("PATCH", "/v1/lessons/{lesson_id}", lessons.patch_lesson, "secret"),
    ("POST", "/v1/lessons/{lesson_id}/state", lessons.post_state, "secret"),
    ("POST", "/v1/lessons/{lesson_id}/decline", lessons.post_decline, "secret"),
    ("POST", "/v1/lessons/{lesson_id}/supersede", lessons.post_supersede, "secret"),
    ("POST", "/v1/lessons/{lesson_id}/kill", lessons.post_kill, "secret"),
    ("GET", "/v1/lessons/{lesson_id}/history", lessons.list_history, "secret"),
    ("GET", "/v1/lessons/{lesson_id}/evidence", proposals.get_evidence, "secret"),
    ("GET", "/v1/lessons/{lesson_id}/preview", proposals.get_preview, "secret"),
    ("GET", "/v1/prompts", prompts.list_prompts, "secret"),
    ("POST", "/v1/prompts", prompts.post_prompt, "secret"),
    ("GET", "/v1/prompts/{name}", prompts.get_prompt, "secret"),
    ("GET", "/v1/prompts/{name}/versions", prompts.list_versions, "secret"),
    ("POST", "/v1/prompts/{name}/versions/{version}/state", prompts.post_state, "secret"),
    ("GET", "/v1/prompts/{name}/diff", prompts.get_diff, "secret"),
    ("GET", "/v1/prompts/{name}/history", prompts.list_history, "secret"),
    ("POST", "/v1/prompts/{name}/merge", prompts.post_merge, "secret"),
    ("GET", "/v1/lesson_switch", lessons.get_switch, "secret"),
    ("PUT", "/v1/lesson_switch", lessons.put_switch, "secret"),
    ("GET", "/v1/projects", projects.list_projects, "secret"),
    ("POST", "/v1/projects", projects.post_project, "secret"),
    ("GET", "/v1/projects/current", projects.get_project, "secret"),
    ("PATCH", "/v1/projects/current", projects.patch_project, "secret"),
    ("GET", "/v1/keys", projects.list_keys, "secret"),
    ("POST", "/v1/keys", projects.post_key, "secret"),
    ("DELETE", "/v1/keys/{key_id}", projects.delete_key, "secret"),
    ("POST", "/v1/chat/completions", gateway.post_chat, "secret"),
    ("POST", "/v1/responses", gateway.post_responses, "secret"),
    ("POST", "/v1/embeddings", gateway.post_embeddings, "secret"),
    ("POST", "/v1/messages/count_tokens", gateway.post_count_tokens, "secret"),
    ("POST", "/v1/messages", gateway.post_messages, "secret"),
    ("GET", "/v1/models/{model:id}", models.get_model, "secret"),
    ("GET", "/v1/models", models.list_models, "secret"),
    ("GET", "/v1/widget", projects.get_widget, "public"),
    ("GET", "/healthz", health.healthz, "anybody"),
    ("GET", "/readyz", health.readyz, "anybody"),
    ("GET", "/metrics", health.metrics, "secret"),
]


#: Those that carry the load; they take nothing from the framework.
HOT = {
    ("POST", "/v1/traces"): ingest.post_traces,
    ("POST", "/v1/batch"): ingest.post_batch,
    ("POST", "/v1/feedback"): ingest.post_feedback,
    ("POST", "/v1/inject"): recall.post_inject,
    # Their bodies are larger than those of other routes, and no layer may hold their answers up.
    ("POST", "/v1/chat/completions"): gateway.post_chat,
    ("POST", "/v1/responses"): gateway.post_responses,
    ("POST", "/v1/embeddings"): gateway.post_embeddings,
    ("POST", "/v1/messages"): gateway.post_messages,
    ("POST", "/v1/messages/count_tokens"): gateway.post_count_tokens,
}


def router() -> APIRouter:
    """Return the routes, each with what it says about itself."""
    routes = APIRouter()
    for method, path, handler, access in ROUTES:
        routes.add_api_route(
            path,
            handler,
            methods=[method],
            tags=[path.split("/")[2] if path.startswith("/v1/") else "health"],
            response_model=None,
            openapi_extra=_extra(handler, access),
        )
    return routes


def _extra(handler: Any, access: str) -> dict[str, Any]:
    security: list[dict[str, list[str]]] = [] if access == "anybody" else [{"key": []}]
    extra: dict[str, Any] = {"security": security, "x-access": access}
    schema = _BODIES.get(handler)
    if schema:
        content = {"application/json": {"schema": schema}}
        extra["requestBody"] = {"required": True, "content": content}
    return extra


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_or_list(name: str) -> dict[str, Any]:
    listed = {"type": "object", "properties": {"data": {"type": "array", "items": _ref(name)}},
              "required": ["data"]}  # fmt: skip
    return {"anyOf": [_ref(name), listed]}


#: The rest of it is the provider's to describe.
_CALL = {"type": "object", "required": ["model"], "properties": {"model": {"type": "string"}}}
_CONFIRMED = {"type": "object", "properties": {"confirmed": {"type": "boolean"}}}
_BODIES: dict[Any, dict[str, Any]] = {
    gateway.post_chat: _CALL,
    gateway.post_responses: _CALL,
    gateway.post_embeddings: _CALL,
    gateway.post_messages: _CALL,
    gateway.post_count_tokens: _CALL,
    ingest.post_traces: _one_or_list("TraceIn"),
    ingest.post_feedback: _one_or_list("FeedbackIn"),
    ingest.post_batch: {
        "type": "object",
        "properties": {
            "traces": {"type": "array", "items": _ref("TraceIn")},
            "feedback": {"type": "array", "items": _ref("FeedbackIn")},
            "sent_at": {"type": "string", "format": "date-time"},
            "report": {"type": "object"},
        },
    },
    feedback.withdraw_feedback: {"type": "object", "properties": {"author": {"type": "string"}}},
    feedback.post_thread: _ref("ThreadEntryIn"),
    lessons.post_lesson: _ref("LessonIn"),
    lessons.patch_lesson: _ref("LessonChangeIn"),
    lessons.post_state: _ref("MoveIn"),
    lessons.post_decline: _ref("ReasonIn"),
    lessons.post_supersede: _ref("SupersedeIn"),
    lessons.post_kill: _ref("SwitchIn"),
    lessons.put_switch: _ref("SwitchIn"),
    recall.post_recall: _ref("RecallIn"),
    recall.post_inject: _ref("InjectIn"),
    prompts.post_prompt: _ref("PromptIn"),
    prompts.post_state: _ref("PromptMoveIn"),
    prompts.post_merge: _ref("MergeIn"),
    proposals.post_proposals: _CONFIRMED,
    proposals.post_trace_proposals: _CONFIRMED,
}
