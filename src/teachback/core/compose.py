"""Lessons as a block of marked data in the system context, in one fixed place.

The block stands at the end of the system context, where it leaves the provider's cache of what
comes before it warm. Composing again replaces it; turns of users, assistants and tools are never
touched. No text of a lesson can end the block, or look like the end of it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from teachback.model.lesson import Lesson
from teachback.model.recall import Wording

#: Bodies of OpenAI's chat completions, of its responses, and of Anthropic's messages.
Shape = Literal["chat", "responses", "anthropic"]

OPEN, CLOSE = "<teachback-lessons>", "</teachback-lessons>"
#: Begins each line of a lesson's text, so that none of it can be taken for anything else.
MARK = "| "
_BREAK = "\n\n"
#: Roles whose messages are the application's own word.
SYSTEM_ROLES = ("system", "developer")

Message = Any
Body = Mapping[str, Any]


def render(lessons: Sequence[Lesson], wording: Wording) -> str | None:
    """Return the block with these lessons in their order; None when there are none."""
    if not lessons:
        return None
    parts = [plain(wording.intro), *(_lesson(lesson, wording) for lesson in lessons)]
    return "\n".join([OPEN, *parts, CLOSE])


def cost(lesson: Lesson, wording: Wording) -> int:
    """Estimate the tokens a lesson adds to the block."""
    return tokens(_lesson(lesson, wording) + "\n")


@functools.lru_cache(maxsize=256)
def frame_cost(wording: Wording) -> int:
    """Estimate the tokens of the block without any lesson."""
    return tokens(f"{OPEN}\n{plain(wording.intro)}\n{CLOSE}\n")


def tokens(text: str) -> int:
    """Estimate how many tokens a text is, for any model: four bytes of UTF-8 are about one."""
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def into(body: Body, shape: Shape, block: str | None) -> dict[str, Any]:
    """Return a request's body with the block in its place, instead of an earlier one.

    Without a block an earlier one is taken out. Everything else stays as it is.
    """
    composed = dict(body)
    if shape == "chat":
        messages = body.get("messages")
        if isinstance(messages, Sequence) and not isinstance(messages, str):
            composed["messages"] = into_messages(messages, block)
        return composed
    name = "instructions" if shape == "responses" else "system"
    content = into_content(body.get(name), block)
    if content is not None or name in body:
        composed[name] = content
    return composed


def into_messages(messages: Sequence[Message], block: str | None) -> list[Message]:
    """Return chat messages with the block at the end of the system messages they begin with."""
    begins = _leading(messages)
    system = [kept for one in messages[:begins] if (kept := _without(one)) is not None]
    if block is not None:
        if system and isinstance(system[-1], Mapping):
            last = system[-1]
            system[-1] = {**last, "content": into_content(last.get("content"), block)}
        else:
            system.append({"role": "system", "content": block})
    return [*system, *messages[begins:]]


def into_content(content: Any, block: str | None) -> Any:
    """Return a text, a list of text blocks, or nothing, with the block at its end."""
    content = _stripped(content)
    if block is None:
        return content
    if isinstance(content, str) or content is None:
        return f"{content}{_BREAK}{block}" if content else block
    return [*content, {"type": "text", "text": block}]


def query_of(body: Body, shape: Shape) -> str:
    """Return the text of the end user's last turn; empty when there is none."""
    if shape != "responses":
        return last_user_text(body.get("messages"))
    turns = body.get("input")
    return turns if isinstance(turns, str) else last_user_text(turns)


def last_user_text(messages: Any) -> str:
    """Return the text of the last message that a user has written; results of tools are none."""
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        return ""
    for message in reversed(messages):
        if _field(message, "role") == "user" and (text := _text(_field(message, "content"))):
            return text
    return ""


def neutral(text: str) -> str:
    """Return a text that cannot end the block nor pass for a turn, and hides nothing."""
    shown = _HIDDEN.sub("", _NEWLINE.sub("\n", text))
    for pattern, replacement in _LOOKS_LIKE_FRAME:
        shown = pattern.sub(replacement, shown)
    return shown.strip("\n")


@functools.lru_cache(maxsize=1_024)
def plain(text: str) -> str:
    """Return words of ours or of the project's settings, which may not end the block either."""
    return neutral(text).replace("\n", " ").strip()


#: Every way to begin a new line.
_NEWLINE = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
#: What a reviewer cannot see and a model can: controls, marks of direction, tags, blanks of no
#: width. Joiners stay: writing systems and emoji need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def _opened(match: re.Match[str]) -> str:
    return "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}" + match[0][1:]


def _bracketed(match: re.Match[str]) -> str:
    return f"({match[0][1:-1]})"


#: Our own frame, however it is written, and the turns of known chat templates.
_LOOKS_LIKE_FRAME: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile("[<\uff1c\ufe64][\\s\u200c\u200d/\\\\\uff0f]*teachback", re.IGNORECASE), _opened),
    (re.compile(r"<[|\uff5c]"), _opened),
    (re.compile(r"</?s>|<</?SYS>>|</?(?:start|end)_of_turn>", re.IGNORECASE), _opened),
    (re.compile(r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\]"), _bracketed),
)


def _lesson(lesson: Lesson, wording: Wording) -> str:
    if lesson.kind != "example":
        return f"{plain(getattr(wording, lesson.kind))}\n{_marked(lesson.text)}"
    return "\n".join([
        plain(wording.example), _marked(lesson.text or lesson.situation),
        plain(wording.answer), _marked(lesson.answer or ""),
    ])  # fmt: skip


def _marked(text: str) -> str:
    return "\n".join(f"{MARK}{line}" for line in neutral(text).split("\n"))


def _leading(messages: Sequence[Message]) -> int:
    """Count the system messages that stand before everything else."""
    for index, message in enumerate(messages):
        if _field(message, "role") not in SYSTEM_ROLES:
            return index
    return len(messages)


def _without(message: Message) -> Message | None:
    """Return a system message without our block; None when it was nothing else."""
    if not isinstance(message, Mapping):
        return message
    content = message.get("content")
    left = _stripped(content)
    if left is content:
        return message
    return {**message, "content": left} if left else None


def _stripped(content: Any) -> Any:
    """Return the content itself when our block is not at its end."""
    if isinstance(content, str):
        return _before_block(content)
    if isinstance(content, Sequence) and content and _is_block(content[-1]):
        return list(content[:-1])
    return content


def _before_block(text: str) -> str:
    """Cut our block from the end.

    It begins at the last opening mark, since none stands inside of it; whoever writes one into
    the application's own text loses nothing of that.
    """
    if not text.endswith(CLOSE):
        return text
    begins = text.rfind(OPEN)
    if begins < 0:
        return text
    return text[:begins].removesuffix(_BREAK)


def _is_block(part: Any) -> bool:
    text = _field(part, "text")
    return isinstance(text, str) and text.startswith(OPEN) and text.endswith(CLOSE)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = [_part_text(part) for part in content]
    return "\n".join(part for part in parts if part)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = _field(part, "text") if _field(part, "type") in ("text", "input_text") else None
    return text if isinstance(text, str) else ""


def _field(value: Any, name: str) -> Any:
    """Return a field of a mapping, or of an object as official clients have them."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)
