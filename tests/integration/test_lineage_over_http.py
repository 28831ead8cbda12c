"""Containers, genealogy and events over HTTP, on the whole suite of processes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest
from sluice.lineage.v1 import lineage_service_pb2 as lineage_pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as lineage_rpc
from sluice_rpc.client import open_channel

from tests.running_suite import RunningSuite

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


@pytest.fixture(scope="module")
def lots(suite: RunningSuite) -> list[tuple[str, str]]:
    """Ids and names of lots of one work order."""
    with duckdb.connect(str(suite.plant), read_only=True) as connection:
        rows = connection.execute(
            "select CONTAINERID, CONTAINERNAME from DWH.DW_MES_CONTAINER where MFGORDERNAME = 'GA2402000001' order by 2"
        ).fetchall()
    return [(str(container_id), str(name)) for container_id, name in rows]


@pytest.fixture(scope="module")
def moved_ids(suite: RunningSuite) -> list[str]:
    """Ids of containers that machines have worked on."""
    with duckdb.connect(str(suite.plant), read_only=True) as connection:
        rows = connection.execute("select distinct CONTAINERID from DWH.DW_MES_LOTWIPHISTORY order by 1 limit 5")
        return [str(container_id) for (container_id,) in rows.fetchall()]


def table_of(response: httpx.Response) -> pa.Table:
    """Return the table of an Arrow answer."""
    assert (response.status_code, response.headers["content-type"]) == (200, ARROW["Accept"]), response.text
    return pa.ipc.open_stream(response.content).read_all()


def test_a_work_order_resolves_to_its_lots(http: httpx.Client, lots: list[tuple[str, str]]) -> None:
    body = http.post("/api/containers/resolve", json={"kind": "work_order", "values": ["ga2402000001", "GA0"]}).json()
    assert [(row["container_id"], row["lot_id"]) for row in body["data"]] == lots
    assert (body["total"], body["input_count"], body["not_found"]) == (len(lots), 2, ["GA0"])
    assert body["expansion_info"] == {"ga2402000001": len(lots)}
    assert body["guardrail"] == {
        "max_expansion_per_token": 2000,
        "expansion_offenders": [],
        "expansion_offender_count": 0,
        "max_container_ids": 30000,
        "resolved_container_ids": len(lots),
        "over_container_limit": False,
    }
    assert set(body["data"][0]) == {"container_id", "lot_id", "input_value", "spec_name", "qty", "match_source"}


def test_the_same_values_again_take_no_statement(http: httpx.Client, suite: RunningSuite) -> None:
    asked = {"kind": "lot_id", "values": ["GA24*", "GA2402000001-001"]}
    first = http.post("/api/containers/resolve", json=asked).json()
    count = suite.statements.count()
    second = http.post("/api/containers/resolve", json={**asked, "values": asked["values"][::-1]}).json()
    assert (suite.statements.count(), second["total"]) == (count, first["total"])
    assert second["receipt"]["warehouse_statements"] == 0
    assert second["receipt"]["tier"] is not None


def test_containers_come_as_arrow_with_their_receipt(http: httpx.Client, lots: list[tuple[str, str]]) -> None:
    asked = {"kind": "work_order", "values": ["GA2402000001", "GA0"]}
    table = table_of(http.post("/api/containers/resolve", json=asked, headers=ARROW))
    assert table.column("lot_id").to_pylist() == [name for _, name in lots]
    metadata = table.schema.metadata
    assert json.loads(metadata[b"sluice.receipt"])["row_count"] == len(lots)
    assert json.loads(metadata[b"sluice.resolution"])["not_found"] == ["GA0"]


def test_a_hundred_thousand_values_are_resolved_in_one_request(http: httpx.Client) -> None:
    values = [f"GA{number:08}" for number in range(100_000)]
    response = http.post("/api/containers/resolve", json={"kind": "lot_id", "values": [*values, "GA2402000001-001"]})
    body = response.json()
    assert (response.status_code, body["total"], body["input_count"], len(body["not_found"])) == (
        200,
        1,
        100_001,
        100_000,
    )


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"values": []}, 400, "INVALID_PARAMETER", "kind: must be one of lot_id, wafer_lot"),
        ({"kind": "moon", "values": []}, 400, "INVALID_PARAMETER", "kind: must be one of lot_id, wafer_lot"),
        ({"kind": "lot_id"}, 400, "INVALID_PARAMETER", "values: must be a list of texts"),
        ({"kind": "lot_id", "values": [1]}, 400, "INVALID_PARAMETER", "values: must be a list of texts"),
        ({"kind": "lot_id", "values": ["x" * 65]}, 400, "INVALID_PARAMETER", "values[0]: is longer than 64"),
        ({"kind": "lot_id", "values": [], "a": 1}, 400, "INVALID_PARAMETER", "a: is unknown; known are kind, values"),
        ({"kind": "lot_id", "values": ["G*"]}, 400, "INVALID_PARAMETER", "values[0]: 'G*' has fewer than 2"),
        ({"kind": "lot_id", "values": ["a'--"]}, 400, "INVALID_PARAMETER", "holds a quote"),
        ({"kind": "lot_id", "values": ["a\u202e*\u0000"]}, 400, "INVALID_PARAMETER", "NUL"),
        ({"kind": "work_order", "values": ["GD1"]}, 400, "INVALID_PARAMETER", "kind gd_work_order"),
        ({"kind": "lot_id", "values": [f"GA{n}*" for n in range(101)]}, 413, "TOO_MANY_IDS", "at most 100"),
        ({"kind": "lot_id", "values": [f"{n}" for n in range(200_001)]}, 413, "TOO_MANY_IDS", "at most 200,000"),
    ],
)
def test_what_cannot_be_resolved_names_field_and_fix(
    http: httpx.Client, body: dict[str, Any], status: int, code: str, said: str
) -> None:
    response = http.post("/api/containers/resolve", json=body)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    assert said in problem["detail"]


def test_a_genealogy_has_the_fields_of_its_contract(http: httpx.Client, lots: list[tuple[str, str]]) -> None:
    seed = lots[-1][0]
    body = http.post("/api/lineage/genealogy", json={"container_ids": [seed, "nobody"]}).json()
    assert set(body) == {
        "ancestors", "cid_to_name", "parent_map", "merge_edges", "seed_roots", "nodes", "edges", "not_found_ids",
        "truncated_ids", "merge_hop_count", "receipt",
    }  # fmt: skip
    assert (body["not_found_ids"], body["ancestors"]["nobody"]) == (["nobody"], [])
    ancestors = body["ancestors"][seed]
    assert ancestors == sorted(ancestors) and len(ancestors) > 0
    assert set(body["parent_map"][seed]) <= set(ancestors)
    assert {edge["from_cid"] for edge in body["edges"] if edge["to_cid"] == seed} == set(body["parent_map"][seed])
    assert body["nodes"][seed]["container_name"] == lots[-1][1] == body["cid_to_name"][seed]


def test_ancestors_descendants_and_merge_sources_agree_with_the_genealogy(
    http: httpx.Client, lots: list[tuple[str, str]]
) -> None:
    seed = lots[-1][0]
    asked = {"container_ids": [seed]}
    up = http.post("/api/lineage/ancestors", json=asked).json()
    parent = up["child_to_parent"][seed]
    down = http.post("/api/lineage/descendants", json={"container_ids": [parent]}).json()
    merged = http.post("/api/lineage/merge-sources", json=asked).json()
    whole = http.post("/api/lineage/genealogy", json=asked).json()
    assert seed in down["children_map"][parent]
    assert parent in whole["parent_map"][seed]
    assert merged["merge_sources"].get(seed) == whole["merge_edges"].get(seed)
    assert {answer["receipt"]["status"] for answer in (down, merged)} <= {"complete", "truncated"}


@pytest.fixture(scope="module")
def combination(suite: RunningSuite) -> tuple[str, str, str]:
    """A source lot, the combined lot it went into, and the serial."""
    with duckdb.connect(str(suite.plant), read_only=True) as connection:
        rows = connection.execute(
            "select CONTAINERID, LOTID, FINISHEDNAME from DWH.DW_MES_PJ_COMBINEDASSYLOTS "
            "where FINISHEDNAME is not null order by 1, 2, 3"
        ).fetchall()
    source, target, serial = rows[0]
    return str(source), str(target), str(serial)


def test_a_lot_leads_to_its_combined_lot_and_serial(http: httpx.Client, combination: tuple[str, str, str]) -> None:
    source, target, serial = combination
    asked = {"container_ids": [source, "nobody"]}
    targets = http.post("/api/lineage/merge-targets", json=asked).json()
    serials = http.post("/api/lineage/leaf-serials", json=asked).json()
    assert (list(targets["merge_targets"]), list(serials["leaf_serials"])) == ([source], [source])
    assert target in targets["merge_targets"][source]
    assert serial in serials["leaf_serials"][source]
    assert {answer["receipt"]["status"] for answer in (targets, serials)} == {"complete"}


def test_serials_come_as_arrow_with_their_receipt(http: httpx.Client, combination: tuple[str, str, str]) -> None:
    source, _, serial = combination
    response = http.post("/api/lineage/leaf-serials", json={"container_ids": [source]}, headers=ARROW)
    table = table_of(response)
    assert {"container_id": source, "serial_number": serial} in table.to_pylist()
    assert json.loads(table.schema.metadata[b"sluice.receipt"]) == json.loads(response.headers["sluice-receipt"])


def test_a_forward_tree_is_what_the_rpc_answers(
    http: httpx.Client, suite: RunningSuite, combination: tuple[str, str, str], lots: list[tuple[str, str]]
) -> None:
    seeds = [combination[0], combination[1], lots[-1][0], "nobody"]
    body = http.post("/api/lineage/forward-tree", json={"container_ids": seeds}).json()
    with open_channel(f"127.0.0.1:{suite.ports.lineage}", "lineage") as channel:
        stub = lineage_rpc.LineageServiceStub(channel)
        judged = stub.ResolveForwardTree(lineage_pb.ResolveForwardTreeRequest(container_ids=seeds), timeout=60)
    assert (body["roots"], body["total_nodes"]) == (list(judged.roots), judged.total_nodes)
    assert body["children_map"] == {key: list(found.container_ids) for key, found in judged.children_map.items()}
    assert body["leaf_serials"] == {key: list(found.serial_numbers) for key, found in judged.leaf_serials.items()}
    assert body["cid_to_name"] == dict(judged.container_names)
    assert (sorted(body["nodes"]), len(body["edges"])) == (sorted(judged.nodes), len(judged.edges))
    assert (body["not_found_ids"], body["truncated_ids"]) == (["nobody"], list(judged.truncated_ids))


def test_the_serials_of_a_forward_tree_come_as_arrow(http: httpx.Client, combination: tuple[str, str, str]) -> None:
    asked = {"container_ids": [combination[0]], "table": "serials"}
    tree = http.post("/api/lineage/forward-tree", json={"container_ids": [combination[0]]}).json()
    rows = table_of(http.post("/api/lineage/forward-tree", json=asked, headers=ARROW)).to_pylist()
    assert rows == [
        {"container_id": leaf, "serial_number": text} for leaf, texts in tree["leaf_serials"].items() for text in texts
    ]


@pytest.mark.parametrize(
    "call", ["ancestors", "descendants", "merge-sources", "merge-targets", "genealogy", "forward-tree"]
)
def test_lineage_comes_as_a_table_of_edges_with_its_receipt(
    http: httpx.Client, lots: list[tuple[str, str]], call: str
) -> None:
    response = http.post(f"/api/lineage/{call}", json={"container_ids": [lots[-1][0]]}, headers=ARROW)
    table = table_of(response)
    assert table.column_names == ["from_cid", "to_cid", "edge_type"]
    assert json.loads(table.schema.metadata[b"sluice.receipt"]) == json.loads(response.headers["sluice-receipt"])


def test_any_table_of_a_genealogy_comes_as_arrow(http: httpx.Client, lots: list[tuple[str, str]]) -> None:
    asked = {"container_ids": [lots[-1][0]], "table": "seeds"}
    assert table_of(http.post("/api/lineage/genealogy", json=asked, headers=ARROW)).column("found").to_pylist() == [
        True
    ]


@pytest.mark.parametrize(
    "call", ["lineage/ancestors", "lineage/leaf-serials", "lineage/genealogy", "lineage/forward-tree", "events/holds"]
)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "container_ids: must be a list of texts"),
        ({"container_ids": ["x" * 65]}, "container_ids[0]: is longer than 64 characters"),
        ({"container_ids": [], "moon": 1}, "moon: is unknown; known are container_ids"),
    ],
)
def test_wrong_ids_are_refused_the_same_everywhere(
    http: httpx.Client, call: str, body: dict[str, Any], said: str
) -> None:
    response = http.post(f"/api/{call}", json=body)
    assert (response.status_code, said in response.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    "call",
    [
        "lineage/ancestors", "lineage/descendants", "lineage/merge-sources", "lineage/merge-targets",
        "lineage/leaf-serials", "lineage/genealogy", "lineage/forward-tree", "events/downstream_rejects",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("body", "headers"), [({"refresh": True}, {}), ({}, {"Cache-Control": "max-age=0, no-cache"})])
def test_what_is_kept_is_read_again_for_who_says_so_by_body_or_header(
    http: httpx.Client, lots: list[tuple[str, str]], call: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    asked = {"container_ids": [lots[-1][0]]}
    http.post(f"/api/{call}", json=asked)
    kept = http.post(f"/api/{call}", json=asked).json()["receipt"]
    anew = http.post(f"/api/{call}", json={**asked, **body}, headers=headers).json()["receipt"]
    assert (kept["warehouse_statements"], anew["warehouse_statements"] > 0) == (0, True)
    assert datetime.fromisoformat(anew["read_time"]) > datetime.fromisoformat(kept["read_time"])


def test_events_are_records_by_container(http: httpx.Client, moved_ids: list[str]) -> None:
    body = http.post("/api/events/history", json={"container_ids": [*moved_ids, "nobody"]}).json()
    assert (body["domain"], set(body["records_by_cid"]) <= set(moved_ids)) == ("history", True)
    records = [record for found in body["records_by_cid"].values() for record in found]
    assert len(records) == body["receipt"]["row_count"] > 0
    assert list(records[0]) == [column["name"] for column in body["columns"]]
    assert (body["receipt"]["status"], body["failed_batches"], body["reasons"]) == ("complete", [], [])


def test_events_come_as_arrow_whose_last_batch_carries_the_receipt(http: httpx.Client, moved_ids: list[str]) -> None:
    response = http.post("/api/events/history", json={"container_ids": moved_ids}, headers=ARROW)
    with pa.ipc.open_stream(response.content) as reader:
        batches = list(reader.iter_batches_with_custom_metadata())
    last = batches[-1]
    receipt = json.loads(dict(last.custom_metadata)[b"sluice.receipt"])
    assert (last.batch.num_rows, receipt["row_count"]) == (0, table_of(response).num_rows)
    assert receipt["row_count"] > 0


def test_every_domain_of_events_is_listed_with_the_columns_it_answers(http: httpx.Client, moved_ids: list[str]) -> None:
    domains = {domain["name"]: domain for domain in http.get("/api/events").json()["domains"]}
    answer = http.post("/api/events/materials", json={"container_ids": moved_ids}).json()
    assert sorted(domains) == [
        "downstream_rejects", "history", "holds", "jobs", "materials", "rejects", "upstream_history",
    ]  # fmt: skip
    listed = [(column["name"], column["type"]) for column in domains["materials"]["columns"]]
    assert listed == [(column["name"], column["type"]) for column in answer["columns"]]


def test_an_unknown_domain_names_the_known_ones(http: httpx.Client) -> None:
    response = http.post("/api/events/moons", json={"container_ids": []})
    assert (response.status_code, "downstream_rejects, history, holds" in response.json()["detail"]) == (400, True)


def test_health_says_whether_requests_are_counted_for_all_processes(http: httpx.Client) -> None:
    assert http.get("/health").json()["details"]["lineage"]["redis"]["rate_limits"] is True
