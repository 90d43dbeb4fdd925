"""Markdown of a model is shown without loading or trusting anything in it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from teachback.server.console.views.prose import MAX_CHARACTERS, render_markdown

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:msgbox(1))",
    "![x](javascript:alert(1))",
    '[x](https://a.example "onmouseover=alert(1)")',
    '[x](https://a.example/"onmouseover="alert(1))',
    "<a href='javascript:alert(1)'>x</a>",
    "```\n</code><script>alert(1)</script>\n```",
    '```"onload="alert(1)\nx\n```',
    "[x]: javascript:alert(1)\n\n[x]",
    "<https://a.example/\"onclick='alert(1)'>",
    "| a |\n|:-:|\n| <b onclick=alert(1)>b</b> |",
)
ATTRIBUTES = {"href", "rel", "target", "title", "class", "tabindex"}


class Tags(HTMLParser):
    """What a browser would make of the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_runs_when_markdown_is_hostile(text: str) -> None:
    """No tag of the text's own, no handler, no style, no scheme but http, https and mailto."""
    for tag, attributes in Tags(str(render_markdown(text))).found:
        assert tag not in ("script", "img", "svg", "iframe", "style", "b")
        assert attributes.keys() <= ATTRIBUTES
        assert (attributes.get("href") or "https:").startswith(("https:", "http:", "mailto:"))


def test_images_become_links_when_markdown_has_some() -> None:
    """An image is named and linked, with its host, and never loaded."""
    assert render_markdown("![chart](https://evil.example/p?q=secret)") == (
        '<p><a href="https://evil.example/p?q=secret" rel="noopener noreferrer nofollow" '
        'target="_blank">Image: chart</a> <span class="host">(evil.example)</span></p>\n'
    )


def test_links_do_not_nest_when_an_image_is_in_one() -> None:
    """An image inside a link is its name only."""
    html = str(render_markdown("[see ![chart](https://b.example/c.png)](https://a.example)"))
    assert html.count("<a ") == 1
    assert "b.example" not in html


def test_text_stays_plain_when_it_is_too_long_to_format() -> None:
    """Formatting is bounded."""
    assert render_markdown("x" * (MAX_CHARACTERS + 1)) is None
