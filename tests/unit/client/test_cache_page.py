"""The cache page of `sluice health`: sizes and ages for people, a tier that is away says why."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console
from sluice_client.cache_page import cache_page, shown_age, shown_bytes

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MEMORY = {"level": "normal", "own_bytes": 3 << 20, "limit_bytes": 1 << 30, "refusal_count": 0}
HOT = {
    "tier": "memory",
    "available": True,
    "reason": None,
    "frame_count": 1234,
    "bytes": 1 << 20,
    "beside_bytes": 1 << 20,
    "max_bytes": 2 << 30,
    "hit_count": 10,
    "miss_count": 2,
    "eviction_count": 1,
    "oldest_time": "2026-03-01T10:30:00Z",
    "newest_time": None,
}
AWAY = {**HOT, "tier": "redis", "available": False, "reason": "no Redis is configured"}


def test_every_tier_has_a_line_and_the_memory_one() -> None:
    out = io.StringIO()
    page = cache_page({"rss_bytes": 5 << 20, "memory": MEMORY, "tiers": [HOT, AWAY]}, NOW)
    Console(file=out, width=160).print(page)
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert lines[1:] == [
        "memory 1,234 2.0 MiB 2.0 GiB 10 2 1 1 h 30 min -",
        "redis no Redis is configured",
        "resident 5.0 MiB, own 3.0 MiB of 1.0 GiB, pressure normal",
    ]


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1,023 B"), (1536, "1.5 KiB"), (300 << 20, "300 MiB"), (1 << 52, "4,096 TiB")],
)
def test_a_size_is_shown_in_its_largest_unit(size: int, shown: str) -> None:
    assert shown_bytes(size) == shown


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        ("2026-03-01T12:00:00Z", "0 s"),
        ("2026-03-01T11:58:57Z", "1 min 3 s"),
        ("2026-02-26T10:00:00Z", "3 d 2 h"),
        ("2026-03-02T00:00:00Z", "0 s"),
    ],
)
def test_an_age_is_shown_in_two_units(instant: str, shown: str) -> None:
    assert shown_age(instant, NOW) == shown
