"""Feedback tokens say what was signed, and nothing else passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachback.core import tokens
from teachback.errors import Unauthenticated

SECRET = "tb_sk_abc123def456_" + "0" * 64
KEY = tokens.signing_key(SECRET)


@given(st.text(min_size=1, max_size=64), st.none() | st.text(max_size=64))
def test_signed_token_is_read_back(trace_id: str, user_id: str | None) -> None:
    """Trace, end user, key and expiry come out as they went in."""
    token = tokens.verify(tokens.sign(SECRET, trace_id, user_id=user_id, now=0), KEY, now=1)
    assert (token.trace_id, token.user_id, token.key_id) == (trace_id, user_id, "abc123def456")
    assert token.expires_at == tokens.DEFAULT_LIFETIME_S


@given(st.text(), st.integers(0, 200))
def test_changed_token_is_refused(text: str, at: int) -> None:
    """Any other text is refused with one kind of error."""
    token = tokens.sign(SECRET, "t-1")
    changed = token[:at] + text + token[at + 1 :]
    if changed != token:
        with pytest.raises(Unauthenticated):
            tokens.verify(changed, KEY)


def test_expired_token_is_refused() -> None:
    """A token ends at its time."""
    token = tokens.sign(SECRET, "t-1", lifetime_s=10, now=100)
    assert tokens.verify(token, KEY, now=109).trace_id == "t-1"
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify(token, KEY, now=110)


def test_token_of_another_key_is_refused() -> None:
    """The signature is of the key that the token names."""
    with pytest.raises(Unauthenticated, match="signature"):
        tokens.verify(tokens.sign(SECRET, "t-1"), tokens.signing_key(SECRET + "x"))
