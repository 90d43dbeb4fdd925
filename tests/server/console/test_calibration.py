"""The gate tells what it rests on, in the API and on its page, and its bound can be changed."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest

from conftest import Server
from teachback.core.gate import FEATURES
from teachback.recall.calibration import Calibrated
from teachback.recall.gate import PRIOR
from teachback.server.console.views.calibration import calibration_view
from teachback.stats.abstention import curve, loosest
from teachback.store.calibrations import Stored


def calibrated(bound: float, queries: int = 1_000) -> Calibrated:
    """Make a calibration in which a quarter of the less sure queries are wrong."""
    scores = [4 - 6 * at / queries for at in range(queries)]
    steps = tuple(curve(scores, [at >= 400 and at % 4 == 0 for at in range(queries)]))
    stored = Stored(
        model="m", made_at=datetime.now(UTC), queries=queries,
        weights=dict(zip(FEATURES, PRIOR, strict=True)),
        curve=[(step.threshold, step.answered, step.wrong, step.upper) for step in steps],
    )  # fmt: skip
    return Calibrated(stored, bound, steps, loosest(steps, bound))


def test_the_chart_shows_where_the_gate_stands() -> None:
    """On the bound's side of the line, with what other bounds would do beside it."""
    view = calibration_view(calibrated(0.02), 0.02)
    assert view.is_open
    assert view.chart is not None
    upper, seen, line = view.chart.series
    assert len(upper.dots) == 1
    level = float(line.guesses[0].split("L")[1].split()[1])
    assert upper.dots[0].y >= level
    assert not seen.dots
    assert [choice.chosen for choice in view.choices] == [False, False, True, False, False]
    answers = [choice.answered for choice in view.choices]
    assert answers[0] < answers[2] < answers[4]
    assert len(view.chart.rows) == len(view.chart.hits)
    assert sum(hit.width for hit in view.chart.hits) == pytest.approx(100)


def test_a_bound_that_takes_more_queries_says_how_many() -> None:
    """And one that nobody listed is listed while it is in force."""
    view = calibration_view(calibrated(0.001), 0.001)
    assert not view.is_open
    assert view.chart is None
    assert view.needed == 2_995
    assert view.choices[0].title == "0.1%"
    assert view.choices[0].missing == 1_995


@pytest.mark.parametrize("path", ["/v1/recall/calibration"])
def test_without_a_calibration_the_gate_is_shut(server: Server, path: str) -> None:
    """And says how much it takes."""
    with server.client() as client:
        answer = client.get(path).json()
        assert answer["is_open"] is False
        assert (answer["queries"], answer["missing"], answer["bound"]) == (0, 149, 0.02)
        assert answer["curve"] == []
        changed = client.patch("/v1/projects/current", json={"recall": {"bound": 0.01}})
        assert changed.status_code == 200
        assert client.get(path).json()["missing"] == 299
        for wrong in (0, 0.5, "much"):
            refused = client.patch("/v1/projects/current", json={"recall": {"bound": wrong}})
            assert refused.status_code == 400


def test_the_page_says_what_is_missing(visitor: httpx2.Client) -> None:
    """Nothing was learned yet, and the bounds are there to choose."""
    page = visitor.get("/recall")
    assert page.status_code == 200
    assert "Recall gate" in page.text
    assert visitor.post("/recall/bound", data={"bound": "0.05"}).status_code == 200
    assert visitor.post("/recall/bound", data={"bound": "0.9"}).status_code == 400
    assert visitor.post("/recall/bound", data={}).status_code == 400
