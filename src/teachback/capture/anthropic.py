"""What a request of Anthropic's Messages API asks, and what its answer says."""

from __future__ import annotations

from collections.abc import Mapping

from teachback.sdk import render
from teachback.sdk.answers import (
    Layer,
    Question,
    TextAnswer,
    as_str,
    count,
    error_of,
    get,
    items,
    text_of,
)

#: Tokens that are read from, or written to, the prompt cache; `input_tokens` is without them.
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")


def messages_question(request: Mapping[str, object]) -> Question:
    """Read the body of `POST /v1/messages`."""
    messages = items(request.get("messages"))
    asked = [place for place, message in enumerate(messages) if _asks(message)]
    last = asked[-1] if asked else -1
    system = text_of(request.get("system"))
    context = [Layer(kind="system_prompt", content=system)] if system else []
    context += [_layer(message) for place, message in enumerate(messages) if place != last]
    context += [_tool(tool) for tool in items(request.get("tools"))]
    query = _words(get(messages[last], "content")) if asked else ""
    return Question(query=query, model=as_str(request.get("model")), context=context)


def _asks(message: object) -> bool:
    """Tell a user's words from the results of tools, which come in the user's name."""
    return get(message, "role") == "user" and bool(_words(get(message, "content")))


def _words(content: object) -> str:
    """Return what was written, and the names of images and files beside it."""
    if isinstance(content, str):
        return content
    return text_of([part for part in items(content) if get(part, "type") != "tool_result"])


def _layer(message: object) -> Layer:
    parts = [_layer_part(part) for part in items(get(message, "content"))]
    words = "\n".join(parts) if parts else text_of(get(message, "content"))
    return Layer(kind="message", content=words, name=as_str(get(message, "role")) or "")


def _layer_part(part: object) -> str:
    kind = get(part, "type")
    if kind == "tool_use":
        return render.as_text({"name": get(part, "name"), "input": get(part, "input")}) or ""
    return text_of(get(part, "content")) if kind == "tool_result" else text_of([part])


def _tool(tool: object) -> Layer:
    content = render.as_text(tool) or ""
    return Layer(kind="tool", content=content, name=as_str(get(tool, "name")) or "")


class MessagesAnswer(TextAnswer):
    """The answer to `POST /v1/messages`: its text, or the tools it wants called."""

    def whole(self, result: object) -> None:
        """Read a finished message."""
        self._about(result)
        self.error = error_of(result)
        self.finish_reason = as_str(get(result, "stop_reason"))
        for place, block in enumerate(items(get(result, "content"))):
            self._begin(block, place)

    def piece(self, event: object) -> bool:
        """Read one event of a stream."""
        kind = get(event, "type")
        if kind == "content_block_delta":
            return self._add(get(event, "delta"), get(event, "index"))
        if kind == "content_block_start":
            return self._begin(get(event, "content_block"), get(event, "index"))
        if kind == "message_start":
            self._about(get(event, "message"))
        elif kind == "message_delta":
            self._usage(get(event, "usage"))
            self.finish_reason = as_str(get(get(event, "delta"), "stop_reason"))
        elif kind == "error":
            self.error = error_of(event)
        return False

    def _about(self, message: object) -> None:
        self.model = as_str(get(message, "model")) or self.model
        self._usage(get(message, "usage"))

    def _usage(self, usage: object) -> None:
        """Read what was used; a stream's last figures hold for all of it."""
        read = count(get(usage, "input_tokens"))
        if read is not None:
            self.input_tokens = read + sum(count(get(usage, name)) or 0 for name in _CACHED)
        written = count(get(usage, "output_tokens"))
        self.output_tokens = self.output_tokens if written is None else written

    def _begin(self, block: object, index: object) -> bool:
        kind = get(block, "type")
        if kind == "tool_use":
            given = get(block, "input")
            arguments = (render.as_text(given) or "") if given else ""
            name = as_str(get(block, "name")) or ""
            self._calls[index] = {"name": name, "arguments": arguments}
            return True
        return kind == "text" and self._say(get(block, "text"))

    def _add(self, delta: object, index: object) -> bool:
        if get(delta, "type") == "input_json_delta" and index in self._calls:
            self._calls[index]["arguments"] += as_str(get(delta, "partial_json")) or ""
            return True
        return get(delta, "type") == "text_delta" and self._say(get(delta, "text"))

    def _say(self, words: object) -> bool:
        if isinstance(words, str) and words:
            self._words.append(words)
            return True
        return False
