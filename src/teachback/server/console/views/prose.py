"""Render a model's Markdown without loading or trusting anything in it."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from teachback.server.console.views.formats import host

#: Longest text worth formatting, in characters: beyond it the plain text is the better view.
MAX_CHARACTERS = 50_000
#: The addresses of the links that are open at this point, kept in markdown-it's `env`.
OPEN_LINKS = "open_links"
#: A link leaves the console: it gets no handle on our page and no referrer.
LEAVING = {"rel": "noopener noreferrer nofollow", "target": "_blank"}

Env = MutableMapping[str, list[str]]


def render_markdown(text: str) -> Markup | None:
    """Return the HTML of a Markdown text, or None when it is too long to format.

    HTML in it stays text, images become links, and every link shows the host it leads to.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    env: dict[str, list[str]] = {OPEN_LINKS: []}
    return Markup(_MARKDOWN.render(text, env))  # noqa: S704 - markdown-it escapes, html is off


def _open_link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env
) -> str:
    token = tokens[index]
    env[OPEN_LINKS].append(str(token.attrs.get("href", "")))
    token.attrs.update(LEAVING)
    return renderer.renderToken(tokens, index, options, env)


def _close_link(_: RendererHTML, __: Sequence[Token], ___: int, ____: OptionsDict, env: Env) -> str:
    return "</a>" + _host_label(env[OPEN_LINKS].pop())


def _image(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, env: Env) -> str:
    """Name the image and link to it; inside a link, name it only: links cannot nest."""
    source = str(tokens[index].attrs.get("src", ""))
    label = f"Image: {escape(tokens[index].content or 'without a name')}"
    if env[OPEN_LINKS]:
        return label
    attributes = "".join(f' {name}="{value}"' for name, value in LEAVING.items())
    return f'<a href="{escape(source)}"{attributes}>{label}</a>{_host_label(source)}'


def _cell(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env
) -> str:
    """Drop the style attribute of an aligned cell: our content security policy forbids it."""
    tokens[index].attrs.pop("style", None)
    return renderer.renderToken(tokens, index, options, env)


def _code(renderer: RendererHTML, tokens: Sequence[Token], index: int, *given: object) -> str:
    """Let long lines be scrolled by keyboard, too."""
    render = renderer.fence if tokens[index].type == "fence" else renderer.code_block
    return str(render(tokens, index, *given)).replace("<pre>", '<pre tabindex="0">', 1)  # type: ignore[arg-type]


def _host_label(address: str) -> str:
    name = host(address)
    return f' <span class="host">({escape(name)})</span>' if name else ""


def _allowed(address: str) -> bool:
    return address.strip().lower().startswith(("https://", "http://", "mailto:"))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 50})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _allowed  # type: ignore[method-assign, assignment]
    parser.add_render_rule("link_open", _open_link)
    parser.add_render_rule("link_close", _close_link)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("fence", _code)
    parser.add_render_rule("code_block", _code)
    parser.add_render_rule("th_open", _cell)
    parser.add_render_rule("td_open", _cell)
    return parser


_MARKDOWN = _parser()
