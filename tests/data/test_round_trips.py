"""Public data sets go in through the API, and every byte comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import pytest

from support.wire import Wire

pytestmark = [pytest.mark.data, pytest.mark.timeout(600)]

Load = Callable[[str], Iterable[dict[str, Any]]]
Record = dict[str, Any]
STARS = {"Bad": 1, "Could be Improved": 2, "Acceptable": 4, "Excellent": 5}
#: Items in one request: long passages keep well below the limit of a body.
AT_ONCE = 200


def _send(wire: Wire, traces: list[Record], feedback: list[Record]) -> None:
    for object_, items in (("traces", traces), ("feedback", feedback)):
        for start in range(0, len(items), AT_ONCE):
            answer = wire.post(f"/v1/{object_}", {"data": items[start : start + AT_ONCE]})
            assert answer.status == 200, answer.body[:2_000]


def _by_trace(feedback: list[Record]) -> dict[str, list[Record]]:
    grouped: dict[str, list[Record]] = {}
    for one in feedback:
        grouped.setdefault(one["trace_id"], []).append(one)
    return grouped


def _assert_trails_equal(wire: Wire, traces: list[Record], feedback: list[Record]) -> None:
    given = _by_trace(feedback)
    for sent in traces:
        kept = wire.trace(sent["id"])
        assert _only(kept, sent) == sent
        judged = {one["id"]: one for one in kept["feedback"]}
        expected = given.get(sent["id"], [])
        assert judged.keys() == {one["id"] for one in expected}
        for one in expected:
            assert _only(judged[one["id"]], one) == one


def _only(kept: Record, sent: Record) -> Record:
    """Return of what is kept the members that were sent, also inside lists and objects."""
    return {name: _member(kept[name], value) for name, value in sent.items()}


def _member(kept: Any, sent: Any) -> Any:
    if isinstance(sent, dict) and isinstance(kept, dict):
        return _only(kept, sent)
    if isinstance(sent, list) and len(sent) == len(kept):
        return [_member(mine, theirs) for mine, theirs in zip(kept, sent, strict=True)]
    return kept


def test_feedbackqa_comes_back_byte_for_byte(wire: Wire, load: Load) -> None:
    """Every question, passage, rating and comment, contradicting ratings of one answer included."""
    traces: list[Record] = []
    feedback: list[Record] = []
    for number, record in enumerate(load("feedbackqa")):
        traces.append(_answer(number, record))
        feedback += _opinions(f"fqa-{number}", record)
    _send(wire, traces, feedback)
    assert len(traces) == 1_641
    assert sum(one["kind"] == "rating" for one in feedback) == 3_939
    _assert_trails_equal(wire, traces, feedback)


def _answer(number: int, record: Record) -> Record:
    passage = record["passage"]
    shown = passage["reference"]["section_content"]
    return {
        "id": f"fqa-{number}",
        "query": record["question"],
        "output": shown,
        "context": [{"kind": "document", "name": str(passage["passage_id"]), "content": shown}],
        "metadata": {"passage": passage, "split": record["split"]},
    }


def _opinions(trace_id: str, record: Record) -> Iterator[Record]:
    pairs = zip(record["rating"], record["feedback"], strict=True)
    for person, (word, comment) in enumerate(pairs):
        about = {"trace_id": trace_id, "author": f"judge-{person}"}
        yield about | {
            "id": f"{trace_id}-r{person}", "kind": "rating", "name": "answer", "scale": "stars",
            "score": STARS[word], "label": word,
        }  # fmt: skip
        if comment:
            yield about | {"id": f"{trace_id}-c{person}", "kind": "comment", "comment": comment}


def test_defacto_comes_back_byte_for_byte(wire: Wire, load: Load) -> None:
    """Every article, summary, judgement, explanation and corrected summary."""
    traces: list[Record] = []
    feedback: list[Record] = []
    for number, record in enumerate(load("defacto")):
        trace_id = f"defacto-{number}"
        traces.append(
            {
                "id": trace_id,
                "query": "Summarise the article.",
                "output": record["candidate"],
                "context": [{"kind": "document", "name": "article", "content": record["article"]}],
                "metadata": {"abstract": record["abstract"], "doc_id": record["doc_id"]},
            }
        )
        feedback += _judgement(trace_id, record)
    _send(wire, traces, feedback)
    assert len(traces) == 1_486
    assert sum(one["kind"] == "correction" for one in feedback) >= 1_033
    _assert_trails_equal(wire, traces, feedback)


def _judgement(trace_id: str, record: Record) -> Iterator[Record]:
    said = record["feedback"]
    about = {"trace_id": trace_id, "author": "judge", "submission_id": trace_id}
    yield about | {
        "id": f"{trace_id}-r", "kind": "rating", "scale": "thumbs",
        "score": int(not record["has_error"]), "comment": said["explanation"], "metadata": said,
    }  # fmt: skip
    if said["summary"]:
        yield about | {
            "id": f"{trace_id}-c", "kind": "correction", "correction": said["summary"],
            "comment": said["instruction"],
        }  # fmt: skip


def test_defacto_changes_make_the_correction_out_of_the_output(wire: Wire, load: Load) -> None:
    """The tracked change of a correction reads as the output before and the correction after."""
    for number, record in enumerate(load("defacto")):
        corrected = record["feedback"]["summary"]
        if number % 25 or not corrected:
            continue
        trace_id = f"change-{number}"
        traces = [{"id": trace_id, "query": "Summarise.", "output": record["candidate"]}]
        given = {"id": f"{trace_id}-c", "kind": "correction", "trace_id": trace_id}
        _send(wire, traces, [given | {"correction": corrected}])
        changes = wire.feedback(f"{trace_id}-c")["changes"]
        assert "".join(text for sign, text in changes if sign != "+") == record["candidate"]
        assert "".join(text for sign, text in changes if sign != "-") == corrected


def test_r3_edits_come_back_with_exact_spans(wire: Wire, load: Load) -> None:
    """Every proposed edit with its span and its fate; the accepted ones make the final text."""
    edits = sorted(load("r3_edits"), key=_text_of)
    assert len(edits) == 191
    for number, (_, group) in enumerate(groupby(edits, key=_text_of)):
        proposed = list(group)
        trace_id = f"r3-{number}"
        _send_edits(wire, trace_id, proposed)
        kept = wire.trace(trace_id)
        assert _accepted(kept["output"], kept["feedback"]) == proposed[0]["after_human_evaluation"]
        judged = {one["id"]: one for one in kept["feedback"]}
        for position, edit in enumerate(proposed):
            selector = judged[f"{trace_id}-{position}"]["selector"]
            start, end = selector["start"], selector["end"]
            assert (start, end) == (edit["start_char_pos"], edit["end_char_pos"])
            assert kept["output"][start:end] == selector["exact"] == (edit["before"] or "")


def _text_of(edit: Record) -> tuple[str, int]:
    return edit["doc_id"], edit["depth"]


def _send_edits(wire: Wire, trace_id: str, edits: list[Record]) -> None:
    traces = [{"id": trace_id, "query": "Revise.", "output": edits[0]["before_revision"]}]
    _send(wire, traces, [_suggestion(trace_id, number, edit) for number, edit in enumerate(edits)])
    for number, edit in enumerate(edits):
        fate = {"Accept": "accept", "Reject": "reject"}[edit["accept_or_reject"]]
        entry = {"action": fate, "author": "reviewer"}
        answer = wire.post(f"/v1/feedback/{trace_id}-{number}/thread", entry)
        assert answer.status in {200, 201}, answer.body


def _suggestion(trace_id: str, number: int, edit: Record) -> Record:
    selector = {
        "exact": edit["before"] or "", "start": edit["start_char_pos"], "end": edit["end_char_pos"],
    }  # fmt: skip
    return {
        "id": f"{trace_id}-{number}", "kind": "annotation", "trace_id": trace_id,
        "source": "evaluator", "author": "model", "identifier": str(number), "selector": selector,
        "correction": edit["after"] or "", "labels": [edit["major_intent"]],
    }  # fmt: skip


def _accepted(text: str, feedback: list[Record]) -> str:
    """Apply the suggestions that were accepted, from the end so that spans stay true."""
    taken = [one for one in feedback if any(e["action"] == "accept" for e in one["thread"])]
    for one in sorted(taken, key=lambda one: -one["selector"]["start"]):
        start, end = one["selector"]["start"], one["selector"]["end"]
        text = text[:start] + one["correction"] + text[end:]
    return str(text)
