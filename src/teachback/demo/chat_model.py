"""A language model behind any OpenAI-compatible endpoint, for those who have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import httpx2
import msgspec

from teachback.demo.reply import Given

#: Long enough for a small local model, short enough for a visitor who waits.
TIMEOUT_S = 30.0


class ModelError(Exception):
    """The model did not answer."""


class ChatModel:
    """Words an answer with a model; the documents found are put into its system message."""

    def __init__(self, base_url: str, api_key: str, name: str) -> None:
        """Speak to the endpoint at `base_url`, which ends in `/v1`; no key is sent when empty."""
        self.name = name
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx2.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_S)

    def complete(self, query: str, given: Sequence[Given], *, form: str) -> Completion:
        """Return the model's answer; raises ModelError when there is none."""
        body = {"model": self.name, "messages": _messages(query, given, form), "temperature": 0.2}
        try:
            response = self._http.post("chat/completions", json=body)
            response.raise_for_status()
            return _completion(response.content, self.name)
        except (httpx2.HTTPError, httpx2.InvalidURL, msgspec.MsgspecError) as error:
            raise ModelError(f"the model did not answer: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What the model said, and what it counted."""

    text: str
    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    """What we read of a chat completion."""

    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    model: str = ""
    usage: _Usage | None = None


def _completion(body: bytes, asked: str) -> Completion:
    answer = msgspec.json.decode(body, type=_Answer)
    usage = answer.usage or _Usage()
    return Completion(
        text=answer.choices[0].message.content.strip(),
        model=answer.model or asked,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
    )


def _messages(query: str, given: Sequence[Given], form: str) -> list[dict[str, str]]:
    system = [layer.content for layer in given if layer.kind == "system_prompt"]
    sources = [
        f"<{layer.kind} name={layer.name!r}>\n{layer.content}\n</{layer.kind}>"
        for layer in given
        if layer.kind in ("document", "tool")
    ]
    wording = f"Word the reply like this template:\n<template>\n{form.strip()}\n</template>"
    history = [
        {"role": layer.name, "content": layer.content} for layer in given if layer.kind == "message"
    ]
    return [
        {"role": "system", "content": "\n\n".join([*system, *sources, wording])},
        *history,
        {"role": "user", "content": query},
    ]
