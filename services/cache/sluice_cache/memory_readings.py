"""Where readings of memory come from: this machine, or a test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

from sluice_cache.pressure import Reading

AUTO_LIMIT_RATIO: Final = 0.8
"""Of the memory of the machine or the container, when no limit is set."""

_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_CGROUP = Path("/sys/fs/cgroup")


class MemoryReadings(Protocol):
    """Says how much memory is in use now."""

    def read(self) -> Reading:
        """Return the present figures, not the peak; 0 for what cannot be read."""
        ...


class SystemReadings:
    """Memory as Linux tells it.

    Args:
        limit_bytes: most that the process may hold; 0 takes 80 % of the machine or, if that is less, of the container.
    """

    def __init__(self, limit_bytes: int = 0) -> None:
        # The unit of statm: 4 KiB on most machines, 16 or 64 on some.
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        total = min((size for size in (_meminfo().get("MemTotal", 0), _container_max()) if size > 0), default=0)
        self._limit_bytes = limit_bytes or int(AUTO_LIMIT_RATIO * total)

    def read(self) -> Reading:
        resident, shared = self._pages()
        # Resident less shared: hot frames are mapped files, and their pages are the system's to drop.
        own_bytes, rss_bytes = (resident - shared) * self._page_bytes, resident * self._page_bytes
        return Reading(own_bytes, self._limit_bytes, max(_machine_ratio(), _container_ratio()), rss_bytes)

    def _pages(self) -> tuple[int, int]:
        fields = _text(_STATM).split()
        return (int(fields[1]), int(fields[2])) if len(fields) > 2 else (0, 0)


class FakeReadings:
    """Memory that is as a test says."""

    def __init__(self, reading: Reading = Reading()) -> None:  # noqa: B008  # frozen
        self.value = reading

    def read(self) -> Reading:
        return self.value


def _machine_ratio() -> float:
    said = _meminfo()
    total = said.get("MemTotal", 0)
    return 1 - said.get("MemAvailable", total) / total if total else 0.0


def _container_ratio() -> float:
    most = _container_max()
    used = _text(_CGROUP / "memory.current")
    if not most or not used:
        return 0.0
    stat = dict(line.split() for line in _text(_CGROUP / "memory.stat").splitlines())
    return max(0.0, (int(used) - int(stat.get("inactive_file", 0)) - int(stat.get("active_file", 0))) / most)


def _container_max() -> int:
    text = _text(_CGROUP / "memory.max").strip()
    return int(text) if text.isdigit() else 0


def _meminfo() -> dict[str, int]:
    lines = (line.split() for line in _text(_MEMINFO).splitlines())
    return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines if len(fields) > 1}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
