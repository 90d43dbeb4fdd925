"""What the settings say of the gateway."""

from __future__ import annotations

from pydantic import SecretStr

from teachback.config import Settings, find_secret
from teachback.llm.upstream import Patience
from teachback.server.bodies import MIB
from teachback.server.gateway.gateway import GatewayOptions
from teachback.server.gateway.upstreams import Upstreams, read_upstreams, usual_upstreams


def gateway_options(settings: Settings) -> GatewayOptions:
    """Return what the settings say of the gateway; raises SetupError."""
    return GatewayOptions(
        upstreams=find_upstreams(settings),
        patience=Patience(
            connect_s=settings.upstream_connect_s,
            first_byte_s=settings.upstream_first_byte_s,
            silence_s=settings.upstream_silence_s,
            connections=settings.upstream_connections,
        ),
        spool=settings.data_dir / "gateway",
        spool_bytes=settings.gateway_spool_mb * MIB,
        body_limit=settings.gateway_body_mb * MIB,
    )


def find_upstreams(settings: Settings) -> Upstreams:
    """Return the model providers behind the gateway; raises SetupError."""
    if settings.upstreams is not None:
        return read_upstreams(settings.upstreams, find_secret)
    return usual_upstreams(
        openai=(settings.openai_base_url, _text(settings.openai_api_key)),
        anthropic=(settings.anthropic_base_url, _text(settings.anthropic_api_key)),
    )


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
