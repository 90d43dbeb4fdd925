"""The recall gate: how it was calibrated, and what another bound would do."""

from __future__ import annotations

from starlette.responses import Response

from teachback.errors import Invalid
from teachback.recall.calibration import find_calibrated
from teachback.server.console.render import page
from teachback.server.console.views.calibration import BOUNDS, calibration_view
from teachback.server.console.visit import MAY_MANAGE_KEYS, Visit, see_other
from teachback.store import projects

PATH = "/recall"


async def show(visit: Visit) -> Response:
    """Show the project's gate."""
    rules = await projects.get_rules(visit.db, visit.project.id)
    embedder = visit.context.embedder
    found = (
        await find_calibrated(visit.db, visit.project.id, embedder.model, rules)
        if embedder
        else None
    )
    return page(
        visit.request, "calibration.html", visit=visit,
        view=calibration_view(found, rules.bound), embeds=embedder is not None,
        may_change=visit.member.roles.get(visit.project.id) in MAY_MANAGE_KEYS,
    )  # fmt: skip


async def change(visit: Visit) -> Response:
    """Choose another bound; raises Forbidden, or Invalid."""
    visit.require(MAY_MANAGE_KEYS)
    form = await visit.request.form()
    given = str(form.get("bound", ""))
    chosen = {str(bound): bound for bound in BOUNDS}
    if given not in chosen:
        raise Invalid("bound", value=given, rule="it is none of those listed", fix="Choose one")
    await projects.change_rules(visit.db, visit.project.id, {"bound": chosen[given]})
    return see_other(PATH)
