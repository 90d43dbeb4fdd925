"""Every setting, once: from the environment, a file named by it, or its default."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from teachback.errors import SetupError

PREFIX = "TEACHBACK_"
#: Names with our prefix that belong to the SDK, the benchmarks and the tests.
FOREIGN = {
    "TEACHBACK_URL", "TEACHBACK_KEY", "TEACHBACK_SPOOL_DIR", "TEACHBACK_DATA", "TEACHBACK_KILLS",
    "TEACHBACK_FORKS", "TEACHBACK_CAPTURE_CONTENT", "TEACHBACK_ENVIRONMENT", "TEACHBACK_MATRIX",
    "TEACHBACK_SPOOL", "TEACHBACK_DISABLED", "TEACHBACK_RELEASE", "TEACHBACK_TEST_DATABASE_URL",
}  # fmt: skip


def default_data_dir() -> Path:
    """Return where data live when nothing is said: the system's place for root, else the home."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/teachback")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "teachback"


#: Listening here answers on loopback too.
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


class Settings(BaseSettings):
    """The configuration of a server or worker process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", populate_by_name=True)

    host: str = Field("127.0.0.1", description="Address to listen on; loopback by default")
    port: int = Field(8700, ge=0, le=65535, description="Port to listen on")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/]",
        description="Address under which people reach the console, when behind a proxy",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Where the embedded PostgreSQL and the secret key live",
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("TEACHBACK_DATABASE_URL", "DATABASE_URL"),
        description="Your own PostgreSQL 16 or newer; embedded when absent",
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description="The same database past the pooler: for migrations and the worker",
    )
    database_pooler: bool = Field(
        False, description="DATABASE_URL leads to PgBouncer in transaction mode"
    )
    database_connections: int = Field(8, ge=2, le=200, description="Connections of one process")
    secret_key: SecretStr | None = Field(
        None, description="Peppers key hashes; made in the data directory when absent"
    )
    worker: bool = Field(True, description="`serve` runs a worker in its process")
    embedder: Literal["minilm", "openai", "vertex", "none"] = Field(
        "minilm", description="What turns texts into vectors of their meaning"
    )
    embedding_url: str | None = Field(
        None, pattern=r"^https?://[^/]", description="Address of the embedding service"
    )
    embedding_model: str | None = Field(None, description="Model to ask the service for")
    embedding_dimensions: int = Field(
        768, ge=8, le=4_000, description="Length of the service's vectors"
    )
    embedding_key: SecretStr | None = Field(
        None, description="Key or bearer token of the embedding service"
    )
    upstreams: str | None = Field(
        None, description="Model providers behind the gateway, as TOML: one table each"
    )
    anthropic_base_url: str | None = Field(
        None,
        validation_alias="ANTHROPIC_BASE_URL",
        pattern=r"^https?://[^/]",
        description="Address of the upstream `anthropic`, where none are configured",
    )
    anthropic_api_key: SecretStr | None = Field(
        None, validation_alias="ANTHROPIC_API_KEY", description="Its key"
    )
    upstream_connect_s: float = Field(
        5.0, gt=0, le=60, description="Longest wait for a connection to an upstream, in seconds"
    )
    upstream_first_byte_s: float = Field(
        600.0, gt=0, le=3_600, description="Longest wait until an upstream's answer begins"
    )
    upstream_silence_s: float = Field(
        60.0, gt=0, le=3_600, description="Longest silence inside an upstream's answer"
    )
    upstream_connections: int = Field(
        1_000, ge=1, le=100_000, description="Calls of one process that go on at once"
    )
    gateway_body_mb: int = Field(
        32, ge=1, le=512, description="Largest body of a call through the gateway, in MiB"
    )
    gateway_spool_mb: int = Field(
        256, ge=1, le=1_000_000, description="Disk for traces that wait for the database, in MiB"
    )
    chat_url: str | None = Field(
        None, pattern=r"^https?://[^/]", description="Address of a chat model that words drafts"
    )
    chat_model: str | None = Field(None, description="Model to ask there")
    chat_key: SecretStr | None = Field(None, description="Its key")
    metrics_public: bool = Field(False, description="Serve /metrics without a key")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much to log"
    )
    openai_base_url: str | None = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        pattern=r"^https?://[^/]",
        description="Address of the upstream `openai`, and of the demo's model",
    )
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="Its key"
    )
    demo_model: str = Field("gpt-5-mini", description="Model the demo asks for")

    @cached_property
    def base_url(self) -> str:
        """The address to show to people."""
        host = "127.0.0.1" if self.host in _EVERYWHERE else self.host
        host = f"[{host}]" if ":" in host else host
        return (self.public_url or "").rstrip("/") or f"http://{host}:{self.port}"


def load(**overrides: Any) -> Settings:
    """Read all settings; SetupError lists every mistake at once."""
    mistakes = _unknown_names()
    values = _from_files(mistakes) | {k: v for k, v in overrides.items() if v is not None}
    try:
        settings: Settings | None = Settings(**values)
    except ValidationError as error:
        settings = None
        mistakes += [_mistake(detail) for detail in error.errors()]
    if settings is None or mistakes:
        raise SetupError("the configuration is wrong:\n  " + "\n  ".join(mistakes))
    return settings


def public_data() -> Path | None:
    """Return the folder of public data sets that benchmarks and tests read, if one is named."""
    named = os.environ.get("TEACHBACK_DATA")
    return Path(named) if named else None


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[-1])
    return str(alias) if alias else PREFIX + name.upper()


def find_secret(name: str) -> str | None:
    """Return the value of a variable that another setting names, or of its file."""
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return os.environ.get(name)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{name}_FILE cannot be read: {type(error).__name__}") from None


def _unknown_names() -> list[str]:
    known = {variable(name) for name in Settings.model_fields} | FOREIGN
    known.add("TEACHBACK_DATABASE_URL")
    return [
        f"{name} is no setting: see docs/reference/settings.md for all of them"
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in known and name.removesuffix("_FILE") not in known
    ]


def _from_files(mistakes: list[str]) -> dict[str, str]:
    """Read the settings given as NAME_FILE, the way secrets are mounted into containers."""
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        # The address of the database has two names.
        for origin in sorted({variable(name), PREFIX + name.upper()}):
            path = os.environ.get(f"{origin}_FILE")
            if path is None:
                continue
            if origin in os.environ:
                mistakes.append(f"{origin} and {origin}_FILE are both set: keep one of them")
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                mistakes.append(f"{origin}_FILE: {error.strerror or error}")
            except UnicodeDecodeError:
                mistakes.append(f"{origin}_FILE: the file is not text in UTF-8")
    return values


def _mistake(detail: Any) -> str:
    name = str(detail["loc"][0]) if detail["loc"] else "?"
    shown = variable(name) if name in Settings.model_fields else name
    return f"{shown}: {detail['msg']}"
