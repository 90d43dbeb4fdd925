"""A small application on the embedded server, run as a process of its own and ended at will.

argv: the data directory, and what to do once the server runs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import psycopg

from teachback.errors import SetupError
from teachback.store.embedded import EmbeddedServer, start

FACTS = """
    SELECT (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
           pg_postmaster_start_time()::text AS started
"""


def tell(**facts: object) -> None:
    sys.stdout.write(f"{json.dumps(facts)}\n")
    sys.stdout.flush()


def hold(server: EmbeddedServer) -> None:
    """Use the server until stdin ends."""
    with psycopg.connect(server.dsn) as connection:
        row = connection.execute(FACTS).fetchone()
    assert row is not None
    tell(cluster=row[0], started=row[1])
    sys.stdin.read()


def write(server: EmbeddedServer) -> None:
    """Commit one number after the other and name each once it is committed."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS written (number int)")
        row = connection.execute("SELECT coalesce(max(number), 0) FROM written").fetchone()
        assert row is not None
        for number in range(row[0] + 1, 10**9):
            connection.execute("INSERT INTO written VALUES (%s)", (number,))
            tell(number=number)


def fork(_server: EmbeddedServer) -> None:
    """Leave a child behind that inherited all that is open."""
    if child := os.fork():
        tell(child=child)
        sys.stdin.read()
    else:
        time.sleep(600)


def main() -> None:
    home, role = Path(sys.argv[1]), sys.argv[2]
    try:
        with start(home) as server:
            {"hold": hold, "write": write, "fork": fork}[role](server)
    except SetupError as error:
        tell(error=error.message)


if __name__ == "__main__":
    main()
