"""What runs inside the user's application: tracing, feedback and their delivery."""

from teachback.sdk.client import Client
from teachback.sdk.feedback import FeedbackGroup
from teachback.sdk.losses import DeliveryError
from teachback.sdk.openai import wrap_openai
from teachback.sdk.prompts import PromptText
from teachback.sdk.recall import Recalled
from teachback.sdk.trace import Span, Trace, current_trace

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
