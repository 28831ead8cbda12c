"""How the whole is, as `sluice health` shows it: one sentence, what is wrong, each process, its permits and Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def health_lines(url: str, health: Json) -> list[str]:
    """Return the page line by line; the cache's tiers are for `cache_page`.

    Args:
        url: of the gateway.
        health: its `/health`.
    """
    details = health.get("details") or {}
    lines = [f"{url} is {health.get('status', 'not telling')}"]
    lines += [f"  ! {item['process']}: {item['detail']} ({item['code']})" for item in health.get("reasons", [])]
    for name, part in health.get("processes", {}).items():
        lines.append(f"  {name:<14} {' '.join(filter(None, (part.get('status'), part.get('reason'))))}")
        lines += [f"  {'':<14} {line}" for line in _of_process(details.get(name))]
    return lines


def _of_process(details: Json | None) -> Iterator[str]:
    if details is None:
        return
    warehouse, permits = details["warehouse"], details["permits"]
    breaker = f", breaker {warehouse['breaker']['state'].replace('_', ' ')}" if warehouse["breaker"] else ""
    yield f"warehouse {'answers' if warehouse['reachable'] else 'does not answer'}{breaker}"
    yield _of_permits(permits)
    for held in permits["held"]:
        quarantined = ", in quarantine" if held["quarantined"] else ""
        yield f"  {held['who']}, {held['held_s']:.0f} s{quarantined}"
    for use, available in details["redis"].items():
        yield f"redis for {use} {'answers' if available else 'does not answer'}"


def _of_permits(permits: Json) -> str:
    counted = f"permits {permits['active_count']} of {permits['total_count']} held"
    waiting = f", {permits['waiting_count']} waiting" if permits["waiting_count"] else ""
    quarantined = f", {permits['quarantined_count']} in quarantine" if permits["quarantined_count"] else ""
    leases = f", leases {permits['lease_state']}" if permits["lease_state"] != "none" else ""
    return counted + waiting + quarantined + leases
