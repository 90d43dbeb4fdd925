"""The how-to pages: their examples run, and the reference names everything there is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from openai import OpenAI

import teachback
from sdk.conftest import KEY
from sdk.model_stub import ModelStub
from sdk.stub import Stub
from teachback.sdk import settings
from teachback.sdk.losses import Reason

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "sdk.md").read_text(encoding="utf-8")
PAGES = ["trace-your-application.md", "send-feedback.md", "langchain.md"]


@pytest.fixture
def model() -> Iterator[ModelStub]:
    """The model that the examples' OpenAI client talks to."""
    with ModelStub() as running:
        yield running


@pytest.mark.parametrize("page", PAGES)
def test_examples_run_when_copied(
    page: str, stub: Stub, model: ModelStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who copies every example of a page, in order, gets what the page says."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", model.url)
    monkeypatch.setenv("TEACHBACK_SPOOL_DIR", str(tmp_path / "spool"))
    text = (DOCS / "how-to" / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    code = code.replace("http://127.0.0.1:8700", stub.url).replace("tb_sk_…", KEY)
    names: dict[str, object] = {}
    exec(compile(code, page, "exec"), names)
    for value in list(names.values()):
        if isinstance(value, teachback.Client | OpenAI):
            value.close()
    assert stub.records("trace")
    if page == "langchain.md":
        assert len(stub.records("trace")) == 2
    if page == "send-feedback.md":
        assert {r["kind"] for r in stub.records("feedback")} >= {
            "rating", "reasons", "comment", "correction", "annotation", "implicit",
        }  # fmt: skip


def test_reference_names_everything_there_is() -> None:
    """Every public name, method, argument and variable has its place in the reference."""
    for name in teachback.__all__:
        assert f"teachback.{name}" in REFERENCE
    for owner in (teachback.Client, teachback.FeedbackGroup):
        for name, member in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                assert f"`{name}(" in REFERENCE, name
            if not name.startswith("_") or name == "__init__":
                parameters = [p for p in inspect.signature(member).parameters if p != "self"]
                if owner is not teachback.FeedbackGroup or name != "__init__":
                    assert [p for p in parameters if p not in REFERENCE] == []
    source = inspect.getsource(settings)
    for variable in re.findall(r'_(?:variable|flag)\("(\w+)"\)', source):
        assert f"`TEACHBACK_{variable}`" in REFERENCE


def test_reference_names_every_way_to_lose_a_record() -> None:
    """Each reason that a loss is counted under is explained."""
    assert [reason for reason in get_args(Reason) if f"`{reason}`" not in REFERENCE] == []
