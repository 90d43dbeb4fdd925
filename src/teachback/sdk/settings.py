"""What the SDK can be told, by argument or by environment variable; the only reader of either."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from teachback.model.trace import Environment

#: Records waiting on disk, in bytes; beyond it the newest are dropped and counted.
DEFAULT_MAX_SPOOL_BYTES = 128 * 1024 * 1024
#: How long leaving the program may take when records are still waiting.
DEFAULT_FLUSH_TIMEOUT_S = 2.0

_ENVIRONMENTS: dict[str, Environment] = {
    **{known: known for known in get_args(Environment)},
    "development": "dev",
    "local": "dev",
    "testing": "test",
    "staging": "test",
    "production": "prod",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How one client behaves; arguments win over the environment."""

    #: Where the server is; empty switches the client off.
    url: str
    #: A secret key `tb_sk_…`; empty switches the client off.
    key: str
    environment: Environment
    #: Version of the application, on every trace.
    release: str | None
    #: False sends no query, output, context text, or span text.
    capture_content: bool
    #: Where records wait; None keeps them in memory only.
    spool_dir: Path | None
    max_spool_bytes: int
    flush_timeout_s: float

    @property
    def enabled(self) -> bool:
        """Whether there is somewhere to send to."""
        return bool(self.url and self.key)


#: A client that sends nothing.
OFF = Settings(
    url="",
    key="",
    environment="prod",
    release=None,
    capture_content=False,
    spool_dir=None,
    max_spool_bytes=0,
    flush_timeout_s=0.0,
)


def load(
    *,
    url: str | None = None,
    key: str | None = None,
    environment: str | None = None,
    release: str | None = None,
    capture_content: bool | None = None,
    spool_dir: str | Path | None = None,
    max_spool_bytes: int = DEFAULT_MAX_SPOOL_BYTES,
    flush_timeout_s: float = DEFAULT_FLUSH_TIMEOUT_S,
) -> Settings:
    """Return the settings from arguments, then `TEACHBACK_…` variables, then defaults.

    A URL or environment that is none is treated as absent, never raised.
    """
    wanted = environment or _variable("ENVIRONMENT")
    return Settings(
        url=_web_address(url or _variable("URL")),
        key=(key or _variable("KEY")).strip(),
        environment=as_environment(wanted, default="prod"),
        release=release or _variable("RELEASE") or None,
        capture_content=_flag("CAPTURE_CONTENT") if capture_content is None else capture_content,
        spool_dir=_spool_dir(spool_dir),
        max_spool_bytes=int(max_spool_bytes),
        flush_timeout_s=float(flush_timeout_s),
    )


def as_environment(text: object, *, default: Environment) -> Environment:
    """Return one of the three environments, also for the long names people use."""
    return _ENVIRONMENTS.get(text.lower(), default) if type(text) is str else default


def _variable(name: str) -> str:
    return os.environ.get(f"TEACHBACK_{name}", "")


def _flag(name: str) -> bool:
    return _variable(name).strip().lower() not in ("0", "false", "no", "off")


def _web_address(text: str) -> str:
    cleaned = text.strip().rstrip("/")
    try:
        parts = urlsplit(cleaned)
    except ValueError:
        return ""
    return cleaned if parts.scheme in ("http", "https") and parts.netloc else ""


def _spool_dir(given: str | Path | None) -> Path | None:
    """Return the folder asked for; `off` means memory only."""
    text = str(given) if given is not None else _variable("SPOOL_DIR")
    if text.lower() == "off":
        return None
    return Path(text) if text else _state_folder() / "teachback" / "spool"


def _state_folder() -> Path:
    """Return a folder that outlives the process, as the XDG specification names it."""
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state)
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises without a home
    if home not in ("", "/", "~") and os.access(home, os.W_OK):
        return Path(home) / ".local" / "state"
    return Path(tempfile.gettempdir()) / f"teachback-{os.getuid() if hasattr(os, 'getuid') else 0}"
