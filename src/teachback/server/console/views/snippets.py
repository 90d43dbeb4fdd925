"""What an empty page suggests to copy: the shortest thing that fills it."""

from __future__ import annotations


def first_feedback(url: str) -> str:
    """Return Python that sends one trace and a thumb down with a reason."""
    return f"""\
import teachback

client = teachback.Client(url="{url}", key="tb_sk_…")

with client.trace(query="How do I export?") as trace:
    trace.output = "Open Settings and press Export."

said = client.feedback(trace.id, author="user-1")
said.thumbs_down().reasons(["outdated"])
client.flush()"""


def first_session(url: str) -> str:
    """Return Python that sends two turns of one conversation."""
    return f"""\
import teachback

client = teachback.Client(url="{url}", key="tb_sk_…")

for query in ("How do I export?", "And as a spreadsheet?"):
    with client.trace(query=query, session_id="conversation-1") as trace:
        trace.output = "Open Settings and press Export."
client.flush()"""


def first_key(url: str) -> str:
    """Return what an application's environment needs."""
    return f"""\
export TEACHBACK_URL={url}
export TEACHBACK_KEY=tb_sk_…"""
