"""Take records out of a project page by page, into a file that is there whole or not at all."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from teachback.capture.mapping import Object
from teachback.errors import SetupError
from teachback.transfer.api import Api
from teachback.transfer.tables import Format, writing

Kind = Literal["traces", "feedback"]
_OBJECTS: dict[Kind, Object] = {"traces": "trace", "feedback": "feedback"}
#: What each list is asked for, beside its filters. Oldest first: what is said anew while an export
#: runs moves towards its end, and is met there.
_WHOLE: dict[Kind, dict[str, str]] = {
    "traces": {"sort": "oldest", "include": "contents"},
    "feedback": {"sort": "oldest", "withdrawn": "any"},
}


def unload(
    api: Api,
    kind: Kind,
    form: Format,
    target: Path | None,
    *,
    filters: dict[str, str],
    on_count: Callable[[int], None] = lambda _: None,
) -> int:
    """Write what the filters leave to a file, or to standard output; return how many records."""
    count = 0
    with _whole(target) as file, writing(form, _OBJECTS[kind], file) as table:
        for page in api.pages(f"/v1/{kind}", filters | _WHOLE[kind]):
            table.write(page)
            count += len(page)
            on_count(count)
    return count


@contextmanager
def _whole(target: Path | None) -> Iterator[IO[bytes]]:
    """Open a file beside the target that takes its place when all is written."""
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed before it is moved
            dir=target.parent, prefix=f".{target.name[:100]}.", delete=False
        )
    except OSError as error:
        raise SetupError(f"nothing can be written into {target.parent} ({error})") from error
    beside = Path(file.name)
    try:
        with file:
            yield file
        beside.chmod(0o600)  # feedback is what people said: for the owner alone
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
