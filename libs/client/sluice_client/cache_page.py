"""The cache as `sluice health` shows it: a line per tier, and one for the memory of the process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

Json = Mapping[str, Any]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def cache_page(cache: Json, now: datetime | None = None) -> Table:
    """Return the tiers, fastest first: what each holds of how much, reads it answered, what it gave up, ages.

    Args:
        cache: section `cache` of the gateway's `/health`.
        now: instant that ages are counted to; None is the clock's.
    """
    now = now or datetime.now(UTC)
    page = Table("tier", "frames", "bytes", "of", "hits", "misses", "evictions", "oldest", "newest", box=None)
    page.caption, page.caption_justify = memory_line(cache), "left"
    for tier in cache["tiers"]:
        if not tier["available"]:
            page.add_row(tier["tier"], tier["reason"] or "away")
            continue
        held = tier["bytes"] + tier["beside_bytes"]
        page.add_row(
            tier["tier"],
            f"{tier['frame_count']:,}",
            shown_bytes(held),
            shown_bytes(tier["max_bytes"]) if tier["max_bytes"] else "-",
            f"{tier['hit_count']:,}",
            f"{tier['miss_count']:,}",
            f"{tier['eviction_count']:,}",
            shown_age(tier["oldest_time"], now),
            shown_age(tier["newest_time"], now),
        )
    return page


def memory_line(cache: Json) -> str:
    """Return one sentence on the memory of the cache process."""
    memory = cache["memory"]
    limit = f" of {shown_bytes(memory['limit_bytes'])}" if memory["limit_bytes"] else ""
    own = f", own {shown_bytes(memory['own_bytes'])}{limit}" if memory["own_bytes"] else ""
    refused = f", {memory['refusal_count']:,} calls refused" if memory["refusal_count"] else ""
    return f"resident {shown_bytes(cache['rss_bytes'])}{own}, pressure {memory['level']}{refused}"


def shown_bytes(size: int) -> str:
    """Return a size in the largest unit that leaves at least one."""
    value, position = float(size), 0
    while value >= _STEP and position < len(_UNITS) - 1:
        value, position = value / _STEP, position + 1
    return f"{value:,.0f} {_UNITS[position]}" if position == 0 or value >= 100 else f"{value:,.1f} {_UNITS[position]}"


def shown_age(instant: str | None, now: datetime) -> str:
    """Return how long ago an instant was, in its two largest units; `-` where there is none."""
    if instant is None:
        return "-"
    seconds = max(0, int((now - datetime.fromisoformat(instant)).total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
