"""Alternating measurement of ours against an anchor, so that a noisy machine disturbs both alike."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Comparison:
    """Medians of two alternating series, in seconds, and what was promised of their ratio.

    `ratio` is anchor over ours where `at_least` is set (how many times faster we are) and ours over anchor where
    `at_most` is set (how many times slower we may be).
    """

    name: str
    ours_s: tuple[float, ...]
    anchor_s: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def ours_median_s(self) -> float:
        return statistics.median(self.ours_s)

    @property
    def anchor_median_s(self) -> float:
        return statistics.median(self.anchor_s)

    @property
    def ratio(self) -> float:
        if self.at_least is not None:
            return self.anchor_median_s / self.ours_median_s
        return self.ours_median_s / self.anchor_median_s

    @property
    def kept(self) -> bool:
        """Whether the promise holds in this run."""
        if self.at_least is not None:
            return self.ratio >= self.at_least
        return self.at_most is None or self.ratio <= self.at_most

    def line(self) -> str:
        """Return one line for the report."""
        promise = f"at least {self.at_least:g}×" if self.at_least is not None else f"at most {self.at_most:g}×"
        return (
            f"{self.name}: ours {self.ours_median_s * 1000:,.1f} ms, anchor {self.anchor_median_s * 1000:,.1f} ms, "
            f"ratio {self.ratio:.2f}× ({promise}) {'kept' if self.kept else 'BROKEN'}"
        )


def alternate(
    ours: Callable[[int], object],
    anchor: Callable[[int], object],
    *,
    rounds: int,
    warm_ups: int = 1,
    settle: Callable[[], object] = lambda: None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the seconds of each round of ours and of the anchor, run in turns.

    Both get the number of the round, so that no round repeats the question of the one before. Warm-up rounds carry
    negative numbers and are not counted. `settle` runs before each, so that what one left running does not slow the
    other down.
    """
    ours_s: list[float] = []
    anchor_s: list[float] = []
    for number in range(-warm_ups, rounds):
        pair = [(ours, ours_s), (anchor, anchor_s)]
        # Whoever goes second finds warmer or dirtier caches; take turns at that too.
        for run, seconds in pair if number % 2 == 0 else reversed(pair):
            settle()
            gc.collect()
            start = time.perf_counter()
            run(number)
            if number >= 0:
                seconds.append(time.perf_counter() - start)
    return tuple(ours_s), tuple(anchor_s)


def await_idle(pids: Iterable[int], *, timeout_s: float = 60.0) -> None:
    """Wait until the processes use next to no processor time.

    Raises:
        TimeoutError: they are still at work.
    """
    processes = [psutil.Process(pid) for pid in pids]
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        time.sleep(_IDLE_SAMPLE_S)
        if sum(sum(process.cpu_times()[:2]) for process in processes) - before < _IDLE_CPU_S:
            return
    raise TimeoutError(f"still at work after {timeout_s:g} s")


_IDLE_SAMPLE_S = 0.5
_IDLE_CPU_S = 0.05


def percentile(seconds: tuple[float, ...], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the series lies, interpolated."""
    ordered = sorted(seconds)
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def rss_anon_bytes(pid: int) -> int:
    """Return a process's anonymous resident memory now; file pages, such as mapped frames, are not counted."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"process {pid} reports no RssAnon")


class PeakSampler:
    """Samples a process's anonymous memory until left, and keeps the largest value.

    Args:
        pid: the process; it has to live until the sampler is left.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak-sampler", daemon=True)
        self.idle_bytes = self.peak_bytes = rss_anon_bytes(pid)

    def __enter__(self) -> PeakSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_PEAK_SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, rss_anon_bytes(self._pid))

    @property
    def growth_mib(self) -> float:
        """How far the peak lies above what the process held when the sampler was made, in MiB."""
        return (self.peak_bytes - self.idle_bytes) / (1 << 20)


_PEAK_SAMPLE_S = 0.02
