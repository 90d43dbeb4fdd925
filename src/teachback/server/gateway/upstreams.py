"""Which upstream answers for a model: read once from the configuration, asked for each request."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from teachback.errors import NotFound, SetupError
from teachback.llm.upstream import Protocol, Upstream

_FIELDS = {"url", "protocol", "key", "models", "headers"}


class UnknownModel(NotFound):
    """No upstream answers for this model."""

    type = "model_not_found"


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The configured upstreams, in the order in which they stand."""

    all: tuple[Upstream, ...] = ()

    def of(self, protocol: Protocol) -> list[Upstream]:
        """Return those that speak a protocol."""
        return [upstream for upstream in self.all if upstream.protocol == protocol]

    def choose(self, protocol: Protocol, model: str) -> Upstream:
        """Return the upstream for a model; raises UnknownModel.

        A whole name goes before a beginning, a long beginning before a short one, and either
        before an upstream that names no models.
        """
        found = [
            (fit, -place, upstream)
            for place, upstream in enumerate(self.of(protocol))
            if (fit := _fit(upstream, model)) is not None
        ]
        if not found:
            raise UnknownModel(self._nobody(protocol, model))
        return max(found, key=lambda one: one[:2])[2]

    def _nobody(self, protocol: Protocol, model: str) -> str:
        if not self.of(protocol):
            return (
                f"no upstream speaks the protocol of {protocol}: configure one with "
                f"{protocol.upper()}_API_KEY or TEACHBACK_UPSTREAMS_FILE"
            )
        return f"no upstream takes the model {model[:100]!a}: add it in TEACHBACK_UPSTREAMS_FILE"


def _fit(upstream: Upstream, model: str) -> int | None:
    """Return how well an upstream fits: more for a longer match, None for none."""
    if not upstream.models:
        return 0
    fits = [
        len(pattern) if pattern.endswith("*") else len(model) + 2
        for pattern in upstream.models
        if model == pattern or (pattern.endswith("*") and model.startswith(pattern[:-1]))
    ]
    return max(fits, default=None)


def read_upstreams(text: str, find_key: Callable[[str], str | None]) -> Upstreams:
    """Read upstreams from TOML: one table each; raises SetupError with every mistake.

    `find_key` returns the value of an environment variable that holds a key.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"TEACHBACK_UPSTREAMS is no TOML: {error}") from None
    mistakes: list[str] = []
    found = [_upstream(name, table, find_key, mistakes) for name, table in tables.items()]
    if mistakes:
        raise SetupError("TEACHBACK_UPSTREAMS is wrong:\n  " + "\n  ".join(mistakes))
    return Upstreams(tuple(upstream for upstream in found if upstream))


def _upstream(
    name: str, table: Any, find_key: Callable[[str], str | None], mistakes: list[str]
) -> Upstream | None:
    if not isinstance(table, dict):
        mistakes.append(f"{name}: an upstream is a table, [{name}]")
        return None
    before = len(mistakes)
    mistakes += [f"{name}.{field}: no such field" for field in sorted(table.keys() - _FIELDS)]
    url, protocol = table.get("url"), table.get("protocol", "openai")
    models, headers = table.get("models", []), table.get("headers", {})
    if not isinstance(url, str) or not _is_address(url):
        mistakes.append(f"{name}.url: an address such as https://api.openai.com/v1")
    if protocol not in get_args(Protocol):
        mistakes.append(f"{name}.protocol: one of {', '.join(get_args(Protocol))}")
    if not _are_texts(models):
        mistakes.append(f"{name}.models: a list of names, or of beginnings that end in *")
    if not isinstance(headers, dict) or not _are_texts([*headers, *headers.values()]):
        mistakes.append(f"{name}.headers: a table of texts")
    key = _key(name, table.get("key"), find_key, mistakes)
    if len(mistakes) > before:
        return None
    return Upstream(
        name=name, url=str(url).rstrip("/"), protocol=protocol, key=key, models=tuple(models),
        headers=tuple((header.lower(), value) for header, value in headers.items()),
    )  # fmt: skip


def _key(
    name: str, variable: Any, find_key: Callable[[str], str | None], mistakes: list[str]
) -> str | None:
    """Return the key that the named variable holds; keys themselves have no place in the file."""
    if variable is None:
        return None
    found = find_key(variable) if isinstance(variable, str) else None
    if not found:
        # What stands there may be a key: it is not repeated.
        mistakes.append(f"{name}.key: the name of an environment variable that holds the key")
    return found


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    plain = not parts.query and not parts.fragment and "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain


def _are_texts(values: Any) -> bool:
    return isinstance(values, Sequence) and all(isinstance(one, str) and one for one in values)


def usual_upstreams(
    *, openai: tuple[str | None, str | None], anthropic: tuple[str | None, str | None]
) -> Upstreams:
    """Return the two providers by (address, key), those of which something is known."""
    usual: list[tuple[Protocol, str, tuple[str | None, str | None]]] = [
        ("openai", "https://api.openai.com/v1", openai),
        ("anthropic", "https://api.anthropic.com", anthropic),
    ]
    return Upstreams(
        tuple(
            Upstream(
                name=protocol, url=(url or default).rstrip("/"), protocol=protocol, key=key or None
            )
            for protocol, default, (url, key) in usual
            if url or key
        )
    )
