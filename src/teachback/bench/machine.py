"""What a figure was measured on, and what processes and folders weigh (Linux)."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def describe() -> dict[str, str | int | float]:
    """Return the facts that make figures comparable."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count() or 0,
        "memory_gb": round(pages / 2**30, 1),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    with (PROC / "cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def processes() -> dict[int, int]:
    """Return every living process as id → parent id."""
    parents: dict[int, int] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # ended while we looked
            # The name stands in parentheses and may hold spaces: count from its end.
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    return parents


def family(roots: Iterable[int]) -> set[int]:
    """Return these processes and all their living descendants."""
    parents = processes()
    found = {pid for pid in roots if pid in parents}
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return found


def command_line(pid: int) -> str:
    """Return a process's command, empty when it has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def memory_mb(pids: Iterable[int]) -> float:
    """Return the proportional set size of these processes in MB (10^6 bytes).

    Shared pages count once, divided among those who share them: the sum is what the machine gives.
    """
    kib = 0
    for pid in pids:
        try:
            rollup = (PROC / str(pid) / "smaps_rollup").read_text(encoding="utf-8")
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return kib * 1024 / 1e6


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor time of these processes so far, in seconds."""
    ticks = 0
    for pid in pids:
        try:
            stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # Time of its own and in the system: fields 14 and 15, counted from the name's end.
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def folder_bytes(folder: Path, *, without: Iterable[str] = ()) -> int:
    """Return the bytes that a folder's files take on disk, leaving out folders by name."""
    skipped = set(without)
    total = 0
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in skipped]
        for name in files:
            try:
                total += (Path(path) / name).lstat().st_blocks * 512
            except OSError:
                continue
    return total
