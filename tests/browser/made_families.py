"""Families of lots as the gateway would tell them, made up so that everything that can happen to lots is in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Route

from tests.browser.web_page import WebPage

Edge = tuple[str, str, str]
"""From, to, and the kind as the gateway names it."""

_CALLS = re.compile(r"/api/(containers/resolve|lineage/(genealogy|descendants))$")
_RECEIPT: dict[str, Any] = {
    "query_id": "0000000000000000",
    "status": "complete",
    "row_count": 0,
    "chunks": {"total": 0, "reused": 0, "run": 0, "failed": 0},
    "failed_ranges": [],
    "truncated_ranges": [],
}
_ALL_THERE: dict[str, Any] = {"not_found_ids": [], "truncated_ids": [], "receipt": _RECEIPT}


def tell(web: WebPage, seeds: Sequence[str], edges: Sequence[Edge], *, truncated: Sequence[str] = ()) -> None:
    """Let the gateway of a tab know one family; names are the ids in capitals."""
    answers = {
        "resolve": _resolved(seeds),
        "genealogy": {**_genealogy(edges), **_ALL_THERE, "truncated_ids": list(truncated)},
        "descendants": {"children_map": {}, "container_names": {}, **_ALL_THERE},
    }

    def answer(route: Route) -> None:
        route.fulfill(json=answers[route.request.url.rpartition("/")[2]])

    web.page.route(_CALLS, answer)


def _resolved(seeds: Sequence[str]) -> dict[str, Any]:
    fixed = {"spec_name": None, "qty": 1, "match_source": ""}
    found = [{"container_id": seed, "lot_id": seed.upper(), "input_value": seed.upper(), **fixed} for seed in seeds]
    return {
        "kind": "lot_id",
        "data": found,
        "total": len(found),
        "input_count": len(found),
        "not_found": [],
        "expansion_info": {},
        "guardrail": {"over_container_limit": False, "max_container_ids": 1000},
        "receipt": _RECEIPT,
    }


def _genealogy(edges: Sequence[Edge]) -> dict[str, Any]:
    ids = sorted({end for edge in edges for end in edge[:2]})
    fixed = {"mfgorder_name": "GA1", "wafer_lot": None, "node_type": "LOT"}
    return {
        "nodes": {name: {"container_id": name, "container_name": name.upper(), **fixed} for name in ids},
        "edges": [{"from_cid": one, "to_cid": other, "edge_type": kind} for one, other, kind in edges],
        "cid_to_name": {name: name.upper() for name in ids},
        "seed_roots": {},
    }
