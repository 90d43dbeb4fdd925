"""A browser page under watch: whatever a page of ours must never do is written down."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.sync_api import Dialog, Page


@dataclass(slots=True)
class Watched:
    """A page, and everything on it that a page of ours must never do."""

    page: Page
    #: Console errors (content security violations are among them), exceptions, dialogs,
    #: requests to other hosts.
    faults: list[str] = field(default_factory=list)


def watch(watched: Watched, home: str) -> None:
    """Write down what goes wrong; `home` is the only host that may be asked for anything."""
    page, faults = watched.page, watched.faults

    def on_dialog(dialog: Dialog) -> None:
        faults.append(dialog.message)
        dialog.dismiss()

    def on_request(address: str) -> None:
        if not address.startswith((home, "data:")):
            faults.append(address)

    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", on_dialog)
    page.on("request", lambda request: on_request(request.url))
