"""Measure how much memory and disk this process can still use: its container's, its machine's, its own limits."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from traffic.dataset.memory_budget import Budget, Left

ROOT = Path("/")
_MOUNT = "sys/fs/cgroup"
_COMPOSE = "Give the master more memory (mem_limit in docker-compose.yml)"
_MACHINE = "Run the master on a machine with more memory"
_OWN = "Raise the limit of this process (ulimit -v), which is smaller than the machine's memory"
_DISK = "Make room there, or name another with --traffic-state-dir"


def budget_for(folder: Path) -> Budget:
    """Return the budget of a file whose index and copy are kept in a folder."""
    return Budget(memory_left, lambda: disk_left(folder))


def memory_left(root: Path = ROOT) -> Left | None:
    """Return the memory that this process can still take, by its lowest limit; None if no limit can be read.

    `root` is the folder that has /proc and /sys.
    """
    limits = [*_containers(root), *_machine(root), *_own(root)]
    return min(limits, key=lambda left: left.size, default=None)


def disk_left(folder: Path) -> Left | None:
    """Return what is left of the disk of a folder, or of the closest one above that exists; None if unknown."""
    for place in (folder, *folder.absolute().parents):
        try:
            seen = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        of = "the state folder's disk"
        return Left(seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize, of, _DISK)
    return None


def _containers(root: Path) -> Iterator[Left]:
    """Yield what is left of each control group that this process is in, from its own up to the outermost.

    Version 2: docs.kernel.org/admin-guide/cgroup-v2.html; version 1: .../cgroup-v1/memory.html. The kernel counts the
    cached pages of files as used, and frees them before it kills anything: so they count as free here.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            names = ("", "memory.max", "memory.current", ("inactive_file", "active_file"))
        elif "memory" in controllers.split(","):
            cached = ("total_inactive_file", "total_active_file")
            names = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", cached)
        else:
            continue
        mount = root / _MOUNT / names[0]
        own = mount / path.lstrip("/")
        # In a container the path may be the host's, and only the mount itself exists here.
        for group in (own, *(above for above in own.parents if above.is_relative_to(mount))):
            limit, used = _number(group / names[1]), _number(group / names[2])
            if limit is not None and used is not None:
                cache = sum(_table(group / "memory.stat").get(name, 0) for name in names[3])
                yield Left(limit - max(0, used - cache), limit, "the container's memory limit", _COMPOSE)


def _machine(root: Path) -> Iterator[Left]:
    seen = _table(root / "proc/meminfo")
    if "MemAvailable:" in seen and "MemTotal:" in seen:
        yield Left(seen["MemAvailable:"] << 10, seen["MemTotal:"] << 10, "this machine's memory", _MACHINE)


def _own(root: Path) -> Iterator[Left]:
    """Yield what is left of the address space that this process may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _text(root / "proc/self/statm").split()
    if limit != resource.RLIM_INFINITY and used:
        yield Left(limit - int(used[0]) * resource.getpagesize(), limit, "this process's own memory limit", _OWN)


def _text(path: Path) -> str:
    """Return a file's text; empty if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    """Return the number in a file; None if there is none, as in "max" for no limit."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _table(path: Path) -> dict[str, int]:
    """Return the lines of a file, each a name and a number."""
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
