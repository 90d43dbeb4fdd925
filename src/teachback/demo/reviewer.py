"""The visitor as a reviewer: their own complaint becomes a draft, and they let it into prompts."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from teachback.demo.api import Api, Json

#: What is said in the history of a lesson.
REASON = "Approved on the story page"
#: Whoever looks on wants to see it: nothing is left to chance on this project.
CERTAIN = {"recall": {"holdout": 0, "propensity": 1}}
#: What changes an answer most plainly comes first.
PLAINEST = ("example", "fact", "template", "guidance")


class Reviewer:
    """Acts with a key of a member who may approve."""

    def __init__(self, url: str, key: str, *, kinds: Sequence[str]) -> None:
        """`kinds` are those of lessons that the assistant can make use of."""
        self._api = Api(url, key)
        self._kinds = kinds

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def find(self, feedback_ids: Sequence[str]) -> Json | None:
        """Return the lesson that was drafted from any of this feedback, if there is one."""
        if not feedback_ids:
            return None
        found = self._api.list("/v1/lessons", feedback_id=list(feedback_ids), limit=50)
        useful = [one for one in found if one["kind"] in self._kinds and one["state"] != "retired"]
        return min(useful, key=lambda one: PLAINEST.index(one["kind"]), default=None)

    def draft(self, trace_id: str) -> None:
        """Draft what follows from the feedback on a trace, the correction taken for checked."""
        path = f"/v1/traces/{quote(trace_id, safe='')}/proposals"
        self._api.post(path, {"confirmed": True})

    def approve(self, lesson: Json) -> None:
        """Approve a lesson and put it live, in the place of any other for its situation."""
        path = f"/v1/lessons/{lesson['id']}"
        read = self._api.get(path)
        self._api.patch("/v1/projects/current", CERTAIN)
        if read["state"] == "draft":
            approved = {"state": "approved", "version": read["version"], "reason": REASON}
            self._api.post(f"{path}/state", approved)
        for other in read["like"]:
            if other["state"] in ("canary", "live"):
                successor = {"by": lesson["id"], "reason": REASON}
                self._api.post(f"/v1/lessons/{other['id']}/supersede", successor)
        if read["state"] != "live":
            self._api.post(f"{path}/state", {"state": "live", "reason": REASON})
