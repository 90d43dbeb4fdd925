"""Texts that attack the page that shows them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

PAYLOADS = (
    "<script>alert(1)</script>",
    "</textarea></title></script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'>",
    "<details open ontoggle=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1)) ![y](https://evil.example/y.png)",
    "{{ 7 * 7 }}{% raw %}${alert(1)}",
    "<style>body{background:url(https://evil.example/)}</style>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<form action=https://evil.example><button autofocus>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "\u202e<evil>\u2066\u200b\ufeff",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "--><!--<script>alert(1)//",
    '<math><mi xlink:href="javascript:alert(1)">x',
    "` onmouseover=alert(1) x=`",
    "%3Cscript%3Ealert(1)%3C/script%3E",
)


def hostile_trace(number: int, text: str) -> dict[str, Any]:
    """A trace with the text in every field that is free text."""
    return {
        "id": f"{number}{text}", "query": text, "output": text, "session_id": f"{number}{text}",
        "context": [
            {"kind": kind, "name": text, "version": text, "content": text}
            for kind in ("system_prompt", "document", "tool", "message")
        ],
        "spans": [{"id": text, "name": text, "kind": text, "input": text, "output": text,
                   "error": text, "started_at": "2026-03-01T12:00:00Z", "latency_ms": 5}],
        "request_model": text, "response_model": text + "2", "provider": text, "error": text,
        "user_id": text, "role": text, "surface": text, "locale": text, "release": text,
        "tags": [text], "metadata": {text: text}, "started_at": "2026-03-01T12:00:00Z",
    }  # fmt: skip


def hostile_feedback(number: int, text: str) -> list[dict[str, Any]]:
    """Every kind of feedback on that trace, with the text in every field that is free text."""
    said = {"trace_id": f"{number}{text}", "author": text, "comment": text, "label": text}
    selector = {"exact": text, "start": 0, "end": len(text), "part": "output"}
    in_context = selector | {"part": "context", "index": 1}
    return [
        said | {"kind": "rating", "score": 0, "scale": "thumbs", "name": text},
        said | {"kind": "reasons", "labels": ["outdated"]},
        said | {"kind": "comment"},
        said | {"kind": "correction", "correction": text[::-1]},
        said | {"kind": "annotation", "selector": selector, "labels": [text], "identifier": "1"},
        said | {"kind": "annotation", "selector": in_context, "correction": text[::-1]},
        said | {"kind": "implicit", "name": "copy", "score": 1},
        {"session_id": f"{number}{text}", "kind": "comment", "comment": text, "author": text},
    ]


def path(collection: str, name: str) -> str:
    """The page of a record whose id is any text."""
    return f"/{collection}/{quote(name, safe='')}"
