"""Teachback: teach your LLM application from its users, and prove that the lesson helped."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teachback.sdk import (
        Client,
        DeliveryError,
        FeedbackGroup,
        PromptText,
        Recalled,
        Span,
        Trace,
        current_trace,
        wrap_openai,
    )

__all__ = [
    "Client",
    "DeliveryError",
    "FeedbackGroup",
    "PromptText",
    "Recalled",
    "Span",
    "Trace",
    "current_trace",
    "wrap_openai",
]


def __getattr__(name: str) -> object:
    """Load the SDK on first use: the server shares this package and needs no client."""
    if name not in __all__:
        raise AttributeError(f"module 'teachback' has no attribute {name!r}")
    value: object = getattr(import_module("teachback.sdk"), name)
    globals()[name] = value
    return value
