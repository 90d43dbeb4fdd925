"""How long to wait before the next request (rows R03, R05, R12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from teachback.sdk.retry import MAX_TRIES, REST_S, pause_s, retry_after_s

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("1000000000", 3600),
        ("9" * 400, 3600),
        ("soon", 60),
        ("", 60),
        ("-5", 60),
        ("1.5", 60),
        ("nan", 60),
        ("٣", 60),
        ("Thu, 99 Foo 2025 99:99:99 GMT", 60),
    ],
)
def test_server_decides_the_pause_when_it_names_seconds(asked: str, seconds: float) -> None:
    """Seconds are kept up to an hour; what cannot be read is a minute."""
    assert retry_after_s({"retry-after": asked}) == seconds


@pytest.mark.parametrize("drift", [timedelta(0), timedelta(days=1), timedelta(days=-1095)])
@pytest.mark.parametrize(("ahead", "seconds"), [(30, 30), (-30, 0), (10**9, 3600)])
def test_server_decides_the_pause_when_it_names_a_date(
    drift: timedelta, ahead: int, seconds: float
) -> None:
    """A date counts from the server's own clock, however wrong ours is."""
    server_now = NOW + drift
    headers = {
        "retry-after": format_datetime(server_now + timedelta(seconds=ahead), usegmt=True),
        "date": format_datetime(server_now, usegmt=True),
    }
    assert retry_after_s(headers) == seconds


def test_pause_is_ours_when_the_server_names_none() -> None:
    """Without the header nothing is asked."""
    assert retry_after_s({}) is None


def test_pauses_grow_when_tries_fail() -> None:
    """Each pause is drawn below a doubling bound, and after ten tries comes a rest."""
    for tries, bound in ((1, 0.5), (2, 1.0), (5, 8.0), (9, 60.0)):
        drawn = [pause_s(tries) for _ in range(200)]
        assert bound / 2 <= min(drawn) <= max(drawn) <= bound
    assert pause_s(MAX_TRIES) >= REST_S / 2


def test_clients_do_not_return_together_when_a_server_fails() -> None:
    """A hundred clients spread over the pause: no tenth of it sees more than a third of them."""
    for tries in range(1, MAX_TRIES):
        drawn = sorted(pause_s(tries) for _ in range(100))
        width = (drawn[-1] - drawn[0]) / 10
        for start in drawn:
            assert sum(start <= pause < start + width for pause in drawn) < 34
