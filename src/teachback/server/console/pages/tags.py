"""Tags on many feedback at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from teachback.errors import Invalid
from teachback.model.project import Role
from teachback.server.console.views.forms import line_of
from teachback.server.console.visit import Visit, see_other
from teachback.store.tags import add_tag, remove_tag

#: Who may put tags on what people said.
MAY_TAG: tuple[Role, ...] = ("owner", "editor", "reviewer")
MAX_TAG = 64
#: As many as a page of the list can hold, and some.
MAX_TARGETS = 1_000


async def change(visit: Visit) -> Response:
    """Add a tag to the chosen feedback or take it off; raises Forbidden or Invalid."""
    visit.require(MAY_TAG)
    form = await visit.request.form()
    ids = chosen([str(one) for one in form.getlist("chosen")])
    tag = line_of(
        form.get("tag"), "tag", most=MAX_TAG, fix="Write a word that others will look for"
    )
    if form.get("action") == "remove":
        await remove_tag(visit.db, visit.project.id, ids, tag)
    else:
        await add_tag(
            visit.db, visit.project.id, ids, tag,
            member_id=visit.member.id, at=datetime.now(UTC),
        )  # fmt: skip
    query = str(form.get("query", ""))
    return see_other(f"/feedback?{query}" if query else "/feedback")


def chosen(boxes: Sequence[str]) -> list[str]:
    """Return the ids behind ticked boxes: each names what stands on its line, as JSON."""
    ids: list[str] = []
    for box in boxes:
        try:
            of_line = json.loads(box)
        except ValueError:
            of_line = None
        if not isinstance(of_line, list) or not all(isinstance(one, str) for one in of_line):
            rule = "a box of the list names the ids of its line"
            raise Invalid("chosen", value=box, rule=rule, fix="Choose lines of the list")
        ids += of_line
    if not 1 <= len(ids) <= MAX_TARGETS:
        rule = f"1 to {MAX_TARGETS} feedback are tagged at once"
        raise Invalid("chosen", value=len(ids), rule=rule, fix="Choose lines of the list")
    return ids
