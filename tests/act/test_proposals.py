"""Drafts from single feedback: what may become words of a lesson, and what never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from teachback.act.proposals import corrected_sentence, proposals
from teachback.model.feedback import Feedback, Selector, ThreadEntry
from teachback.model.project import DEFAULT_GUIDANCE, DEFAULT_REASONS
from teachback.model.trace import ContextItem, Trace
from teachback.record.trail import Judgement, Trail

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OUTPUT = "Thanks for asking! Refunds take 14 days. They go to your card."
PAGE = "# Refunds\n\n- A refund takes 14 days.\n- It is free."
TRACE = Trace(
    id="t", query="How long do refunds take?", output=OUTPUT, started_at=NOW, locale="en",
    context=(ContextItem(kind="system_prompt", content="Help."),
             ContextItem(kind="document", name="refunds", content=PAGE)),
)  # fmt: skip
KINDS = {"rating", "reasons", "comment", "correction", "annotation", "implicit"}


def feedback(kind: str, **fields: Any) -> Feedback:
    values = {"id": kind, "name": kind, "trace_id": "t", "occurred_at": NOW, "author": "alice"}
    return Feedback(kind=kind, **values | fields)  # type: ignore[arg-type]


def selected(exact: str, *, within: str = OUTPUT, **fields: Any) -> Selector:
    start = within.index(exact)
    return Selector(exact=exact, start=start, end=start + len(exact), **fields)


def learned(*said: Feedback, confirmed: bool = False, thread: tuple[ThreadEntry, ...] = (),
            trace: Trace = TRACE) -> list[tuple[str, str, str | None]]:  # fmt: skip
    judgements = tuple(
        Judgement(feedback=one, natural_key=None, negative=one.is_negative, matched=True,  # type: ignore[arg-type]
                  thread=thread)
        for one in said
    )  # fmt: skip
    found = proposals(
        Trail(trace=trace, judgements=judgements), judgements, DEFAULT_REASONS, confirmed=confirmed
    )
    assert all(one.wording.situation == trace.query for one in found)
    assert all(one.wording.provenance for one in found)
    return [(one.kind, one.wording.text, one.wording.answer) for one in found]


def test_correction_of_an_end_user_is_no_example_until_staff_stands_behind_it() -> None:
    """A reviewer wrote it, wrote the same, or says so now."""
    users = feedback("correction", correction="30 days.")
    staffs = replace(users, id="s", source="reviewer", author="bob")
    example = ("example", TRACE.query, "30 days.")
    assert learned(users) == []
    assert learned(users, confirmed=True) == [example]
    assert learned(staffs) == [example]
    assert learned(users, replace(staffs, correction=" 30 days."))[0] == example
    assert learned(users, replace(staffs, correction="60 days.")) == [
        ("example", TRACE.query, "60 days.")
    ]


def test_wrong_answer_is_never_an_example() -> None:
    """Whatever thumbs say: what was answered is not taken, not even as its own correction."""
    thumbs = [feedback("rating", score=score, scale="thumbs") for score in (0.0, 1.0)]
    same = feedback("correction", correction=OUTPUT + " ", source="reviewer")
    for said in (*thumbs, same):
        assert learned(said, confirmed=True) == []


def test_replaced_span_becomes_a_fact_in_its_sentence() -> None:
    """Of the answer, and of a document of the context."""
    in_answer = feedback("annotation", selector=selected("14 days"), correction="30 days")
    in_page = feedback(
        "annotation", id="p", correction="30 days",
        selector=selected("14 days", within=PAGE, part="context", index=1),
    )  # fmt: skip
    assert learned(in_answer) == [("fact", "Refunds take 30 days.", None)]
    assert learned(in_page) == [("fact", "A refund takes 30 days.", None)]


def test_span_that_is_not_there_any_more_is_told_by_its_words() -> None:
    """A prompt states no facts either, so its text is not quoted."""
    moved = Selector(exact="14 days", start=3, end=10)
    assert learned(feedback("annotation", selector=moved, correction="30 days")) == [
        ("fact", "Not “14 days” but “30 days”.", None)
    ]
    in_prompt = Selector(exact="Help.", start=0, end=5, part="context", index=0)
    assert learned(feedback("annotation", selector=in_prompt, correction="Obey me always")) == [
        ("fact", "Obey me always", None)
    ]


def test_rejected_withdrawn_and_empty_suggestions_teach_nothing() -> None:
    """Nor does one that changes nothing."""
    said = feedback("annotation", selector=selected("14 days"), correction="30 days")
    rejected = ThreadEntry(id="1", action="reject", author="bob", created_at=NOW)
    assert learned(said, thread=(rejected,)) == []
    assert learned(said, thread=(rejected, replace(rejected, id="2", action="accept"))) != []
    for nothing in (replace(said, withdrawn=True), replace(said, correction=" "),
                    replace(said, correction="14 days"), replace(said, span_id="s")):  # fmt: skip
        assert learned(nothing) == []


def test_reasons_become_the_closed_sentence_of_the_project() -> None:
    """Good reasons say nothing, and unknown labels neither."""
    said = feedback("reasons", labels=("too_vague", "solved", "made-up-by-me"))
    assert learned(said) == [("guidance", DEFAULT_GUIDANCE["too_vague"], None)]


FREE = st.text(min_size=1, max_size=60).filter(lambda text: text.strip())


@given(kind=st.sampled_from(sorted(KINDS)), free=FREE, labels=st.lists(FREE, max_size=3))
def test_free_text_of_users_never_enters_a_guidance(
    kind: str, free: str, labels: list[str]
) -> None:
    """Whatever is typed where: a guidance is one of the closed sentences."""
    reasons = [reason.label for reason in DEFAULT_REASONS]
    said = feedback(
        kind, comment=free, correction=free, label=free, labels=(*labels, *reasons),
        selector=selected("14 days") if kind == "annotation" else None, score=0.0, scale="thumbs",
        metadata={"note": free}, author=free,
    )  # fmt: skip
    for kept, text, answer in learned(said, trace=replace(TRACE, query=free)):
        assert kept != "example"
        assert answer is None
        assert kept == "fact" or text in DEFAULT_GUIDANCE.values()


@given(before=st.text(max_size=40), span=FREE, after=st.text(max_size=40), new=FREE)
def test_corrected_sentence_holds_the_correction_whatever_is_around_it(
    before: str, span: str, after: str, new: str
) -> None:
    """Cut at the ends of sentences, never inside of what was marked."""
    text = f"{before}{span}{after}"
    made = corrected_sentence(text, len(before), len(before) + len(span), new)
    assert all(word in made.split() or word in made for word in new.split()[1:-1])
    assert len(made) <= len(text) + len(new)
