"""A chat model behind any OpenAI-compatible address, for wording drafts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping

import msgspec

from teachback.errors import Unavailable
from teachback.llm.service import Service

#: A person waits for it, beside a page that works without it.
TIMEOUT_S = 20.0


class Chat:
    """Asks for one object of texts at a time."""

    def __init__(
        self, *, url: str, model: str, key: str | None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.model = model
        self._service = Service(url, key, timeout_s=TIMEOUT_S, pause=pause)

    async def ask(self, task: str, data: Mapping[str, object]) -> dict[str, str]:
        """Return the texts of the object that the model answers with.

        `data` is sent as JSON in a message of its own: none of it stands among the instructions.
        Raises Unavailable when no such answer comes.
        """
        return await asyncio.to_thread(self._ask, task, data)

    def _ask(self, task: str, data: Mapping[str, object]) -> dict[str, str]:
        messages = [
            {"role": "system", "content": task},
            {"role": "user", "content": json.dumps(data, ensure_ascii=False)},
        ]
        answer = self._service.post(
            "/chat/completions", {"model": self.model, "messages": messages},
            failure=f"{self.model} gave no answer",
            check="TEACHBACK_CHAT_URL, TEACHBACK_CHAT_MODEL and TEACHBACK_CHAT_KEY",
        )  # fmt: skip
        try:
            return _texts(str(answer["choices"][0]["message"]["content"]))
        except (KeyError, IndexError, TypeError, ValueError):
            raise Unavailable(f"{self.model} answered in another shape than asked for") from None


def _texts(content: str) -> dict[str, str]:
    """Return the texts of the JSON object in an answer, whatever stands around it."""
    begins, ends = content.index("{"), content.rindex("}") + 1
    try:
        value = msgspec.json.decode(content[begins:ends].encode("utf-8", "replace"))
    except msgspec.DecodeError as error:
        raise ValueError("no JSON") from error
    return {key: text for key, text in value.items() if isinstance(text, str)}
