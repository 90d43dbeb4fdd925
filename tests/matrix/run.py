"""`make test-matrix`: what needs more time, or servers that a fresh machine does not have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.servers import newest, oldest, pooler, postgres  # noqa: E402 - needs the path above

BIN = Path(sys.executable).parent
#: Tests that use a database through the fixtures of tests/conftest.py.
ON_A_DATABASE = ["tests/store", "tests/server", "tests/record"]


def main() -> int:
    """Run every part; the exit status is 1 when one of them failed."""
    install_pooler()
    failed = [name for name, run in PARTS.items() if not _announced(name, run())]
    print("failed: " + ", ".join(failed) if failed else "the matrix passed")
    return int(bool(failed))


def install_pooler() -> None:
    """Install PgBouncer where we may; its tests are skipped where we may not."""
    if shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or os.geteuid() != 0:
        return
    if shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "pgbouncer"], check=False)


def long_tests() -> bool:
    """Run the tests marked `matrix`, wherever they stand."""
    return _pytest("-m", "matrix", "tests")


def oldest_server() -> bool:
    """Run the storage and server tests on PostgreSQL 16."""
    folders = [folder for folder in ON_A_DATABASE if (ROOT / folder).is_dir()]
    with postgres(oldest()) as address:
        return _pytest(*folders, TEACHBACK_TEST_DATABASE_URL=address)


def pooled_server() -> bool:
    """Mistreat a product that works through PgBouncer in transaction mode."""
    with postgres(newest()) as address, pooler(address) as pooled:
        return _pytest(
            "tests/faults", "-k", "not test_kills and not test_slow_database",
            DATABASE_URL=pooled, TEACHBACK_DATABASE_DIRECT_URL=address,
            TEACHBACK_DATABASE_POOLER="true",
        )  # fmt: skip


def benchmarks() -> bool:
    """Measure everything in full, and hold it to its targets."""
    return (
        subprocess.run([str(BIN / "teachback"), "bench", "all", "--check"], check=False).returncode
        == 0
    )


PARTS = {
    "long tests": long_tests,
    "PostgreSQL 16": oldest_server,
    "pooler": pooled_server,
    "benchmarks": benchmarks,
}


def _pytest(*arguments: str, **environment: str) -> bool:
    command = [str(BIN / "pytest"), "-q", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
    return done.returncode == 0


def _announced(name: str, passed: bool) -> bool:
    print(f"· {name}: {'passed' if passed else 'FAILED'}", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
