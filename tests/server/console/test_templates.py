"""Templates keep the promises that the content security policy and autoescaping rest on."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

CONSOLE = Path(str(files("teachback.server.console")))
TEMPLATES = sorted((CONSOLE / "templates").rglob("*.html"))
STYLES = sorted((CONSOLE / "static").rglob("*.css"))
SCRIPTS = sorted((CONSOLE / "static").rglob("*.js"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_has_nothing_inline(path: Path) -> None:
    """No script, handler or style in the page, nothing unescaped, nothing of another host."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", text)
    assert not re.search(r"\|\s*safe\b|autoescape", text)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)


@pytest.mark.parametrize("path", STYLES + SCRIPTS, ids=lambda path: path.name)
def test_static_file_is_short_and_ours(path: Path) -> None:
    """Below 500 lines; no other host is asked for anything."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    assert not re.search(r"@import|url\([\"']?(https?:)?//|fetch\([\"'`]https?:|eval\(", text)


def test_icons_exist_when_named() -> None:
    """Every icon that a template names is in the sprite."""
    sprite = (CONSOLE / "static" / "icons.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    named = {
        name
        for path in TEMPLATES
        for name in re.findall(r'icon\("([\w-]+)"', path.read_text(encoding="utf-8"))
    }
    assert named <= drawn
