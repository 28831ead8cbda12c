"""What `sluice health` says of the whole: what is wrong first, then each process."""

from __future__ import annotations

from typing import Any

from sluice_client.health_page import health_lines

PERMITS: dict[str, Any] = {
    "total_count": 4,
    "active_count": 2,
    "waiting_count": 1,
    "quarantined_count": 1,
    "lease_state": "grace",
    "held": [
        {"who": "sluice-query-engine hold-history slice", "held_s": 3.2, "quarantined": False},
        {"who": "sluice-query-engine job-query jobs", "held_s": 61.0, "quarantined": True},
    ],
}
HEALTH: dict[str, Any] = {
    "status": "degraded",
    "reasons": [{"code": "circuit_open", "process": "query-engine", "detail": "the breaker is open"}],
    "processes": {
        "gateway": {"status": "serving", "reason": None},
        "query-engine": {"status": "serving", "reason": None},
        "lineage": {"status": "not_serving", "reason": "lineage cannot be reached"},
    },
    "details": {
        "query-engine": {
            "warehouse": {"reachable": False, "breaker": {"state": "half_open"}},
            "permits": PERMITS,
            "redis": {"state": True, "permits": False},
        },
        "lineage": None,
    },
}


def test_what_is_wrong_comes_before_the_parts() -> None:
    assert health_lines("http://gateway", HEALTH) == [
        "http://gateway is degraded",
        "  ! query-engine: the breaker is open (circuit_open)",
        "  gateway        serving",
        "  query-engine   serving",
        "                 warehouse does not answer, breaker half open",
        "                 permits 2 of 4 held, 1 waiting, 1 in quarantine, leases grace",
        "                   sluice-query-engine hold-history slice, 3 s",
        "                   sluice-query-engine job-query jobs, 61 s, in quarantine",
        "                 redis for state answers",
        "                 redis for permits does not answer",
        "  lineage        not_serving lineage cannot be reached",
    ]
