"""Put our words into a request without touching a byte of the rest of it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from teachback.core.compose import SYSTEM_ROLES, into_content, into_messages

Members = dict[str, Raw]

_MEMBERS = msgspec.json.Decoder(Members)
_LIST = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.encode
_NULL = b"null"


class _Role(msgspec.Struct):
    role: str = ""


_ROLE = msgspec.json.Decoder(_Role)


def split(body: bytes) -> Members:
    """Return the members of a JSON object, undecoded; raises msgspec.DecodeError."""
    return _MEMBERS.decode(body)


def join(members: Members) -> bytes:
    """Return the object again."""
    return _encode(members)


def into_chat(members: Members, block: str) -> None:
    """Put a block at the end of the system messages that a chat begins with.

    Raises msgspec.MsgspecError or KeyError when there is no place for it.
    """
    messages = _LIST.decode(members["messages"])
    roles = [_ROLE.decode(message).role for message in messages]
    begins = next((at for at, role in enumerate(roles) if role not in SYSTEM_ROLES), len(roles))
    system = [msgspec.json.decode(message) for message in messages[:begins]]
    system = [Raw(_encode(message)) for message in into_messages(system, block)]
    members["messages"] = Raw(_encode([*system, *messages[begins:]]))


def into_responses(members: Members, block: str) -> None:
    """Put a block at the end of the instructions; raises msgspec.MsgspecError."""
    _into(members, "instructions", block)


def into_system(members: Members, block: str) -> None:
    """Put a block at the end of Anthropic's system prompt; raises msgspec.MsgspecError."""
    _into(members, "system", block)


def _into(members: Members, name: str, block: str) -> None:
    content = msgspec.json.decode(members.get(name, Raw(_NULL)), type=str | list[Any] | None)
    members[name] = Raw(_encode(into_content(content, block)))


def ask_usage(members: Members) -> bool:
    """Ask a stream of chat completions for its usage; False when the application did."""
    given = members.get("stream_options", Raw(_NULL))
    options: Members = {} if bytes(given) == _NULL else _MEMBERS.decode(given)
    if bytes(options.get("include_usage", Raw(b"false"))) == b"true":
        return False
    members["stream_options"] = Raw(_encode(options | {"include_usage": Raw(b"true")}))
    return True
