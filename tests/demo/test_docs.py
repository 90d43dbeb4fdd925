"""What the documentation of the demo shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from teachback.demo.traffic import PEOPLE, VISITS
from teachback.demo.world import draw

PAGE = Path(__file__).parents[2] / "docs" / "start" / "demo.md"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The first answer is wrong; with the right text beside the question the second is not."""
    example = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    exec(compile(example, str(PAGE), "exec"), {})
    said = capsys.readouterr().out
    truth = draw(7).values.truth["refund_days"]
    first, second = said.index("I hope that helps"), said.rindex("I hope that helps")
    assert f"within {truth} days" not in said[:first]
    assert f"within {truth} days" in said[first:second]


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    """Visits, people and pages are counted as they are."""
    text = PAGE.read_text(encoding="utf-8")
    assert f"{VISITS} visits of {PEOPLE} simulated customers" in text
    assert f"{len(draw(7, flaws=0).library().documents)} short pages" in text
