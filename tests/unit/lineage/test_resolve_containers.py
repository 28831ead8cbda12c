"""ContainerService over real plants: as a file, and through the Oracle driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sluice.lineage.v1 import container_service_pb2 as pb
from sluice.lineage.v1 import container_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.errors import InvalidParameter, OutOfRange, ServiceError
from sluice_twin import plant_of

from tests.unit.lineage.conftest import serve
from tests.unit.lineage.stub import Lineage
from tests.warehouse_urls import DOORS, Door, own_url_of

LOT, WAFER, ORDER, GD_ORDER, GD_LOT, SERIAL = (
    pb.CONTAINER_KIND_LOT_ID,
    pb.CONTAINER_KIND_WAFER_LOT,
    pb.CONTAINER_KIND_WORK_ORDER,
    pb.CONTAINER_KIND_GD_WORK_ORDER,
    pb.CONTAINER_KIND_GD_LOT_ID,
    pb.CONTAINER_KIND_SERIAL_NUMBER,
)


def lot(number: int, name: str, **columns: object) -> dict[str, object]:
    """Return a row of the container table; its id is its number."""
    return {"CONTAINERID": f"{number:016x}", "CONTAINERNAME": name, "OBJECTTYPE": "LOT", "QTY": number, **columns}


CONTAINERS = [
    lot(1, "GA1-001", MFGORDERNAME="GA1", FIRSTNAME="WF1-01", SPECNAME="Mold"),
    lot(2, "GA1-002", MFGORDERNAME="GA1", FIRSTNAME="WF1-01"),
    lot(3, "GA1_003", MFGORDERNAME="GA1", FIRSTNAME="WF1-02", QTY=None),
    lot(4, "GC2-001", MFGORDERNAME="GC2", FIRSTNAME="FN5"),
    lot(5, "GD3-001", MFGORDERNAME="GD3", FIRSTNAME="WF1-01"),
    lot(6, "FN5", MFGORDERNAME="GA9"),
    lot(7, "WF1-01X", FIRSTNAME="WF1-01", OBJECTTYPE="MATERIAL"),
    lot(8, "gd4-001", MFGORDERNAME="ga4", FIRSTNAME="WF2%1"),
    lot(9, "GA1X003", MFGORDERNAME="GA8", FIRSTNAME="WF2x1"),
    lot(10, "FN50", OBJECTTYPE="MATERIAL"),
]
COMBINED: list[dict[str, object]] = [
    {"CONTAINERID": f"{1:016x}", "CONTAINERNAME": "GA1-001", "FINISHEDNAME": "FN5", "LOTID": f"{6:016x}"},
    {"CONTAINERID": f"{1:016x}", "CONTAINERNAME": "GA1-001", "FINISHEDNAME": "FN5", "LOTID": f"{9:016x}"},
    {"CONTAINERID": f"{4:016x}", "CONTAINERNAME": "GC2-001", "FINISHEDNAME": "FN5", "LOTID": f"{6:016x}"},
    {"CONTAINERID": "gone".ljust(16), "CONTAINERNAME": "GONE", "FINISHEDNAME": "FN6", "LOTID": f"{6:016x}"},
]


class Resolver:
    """A started lineage process, asked to resolve."""

    def __init__(self, lineage: Lineage, channel: Any) -> None:
        self.lineage = lineage
        self.stub: pb_grpc.ContainerServiceStub = pb_grpc.ContainerServiceStub(channel)

    def ask(
        self, kind: pb.ContainerKind.ValueType, *values: str, refresh: bool = False
    ) -> pb.ResolveContainersResponse:
        """Resolve in one message."""
        request = pb.ResolveContainersRequest(kind=kind, values=values, refresh=refresh)
        response: pb.ResolveContainersResponse = self.stub.ResolveContainers(request, timeout=30)
        return response

    def read(self, *requests: pb.ReadContainersRequest) -> tuple[pb.ContainersSummary, dict[int, pa.Table]]:
        """Resolve over streams; the summary, and the tables by their number."""
        summary = pb.ContainersSummary()
        pieces: dict[int, list[bytes]] = {}
        for response in self.stub.ReadContainers(iter(requests), timeout=30):
            part = response.WhichOneof("part")
            if part == "summary":
                summary = response.summary
            elif part == "header":
                pieces[response.header.table] = []
            else:
                pieces[max(pieces)].append(response.chunk.ipc)
        return summary, {table: arrow.decode(given).read_all() for table, given in pieces.items()}


def opened(closing: ExitStack, url: str, **settings: object) -> Resolver:
    """Return the process over a warehouse."""
    lineage = serve(closing, warehouse_url=url, **settings)
    return Resolver(lineage, closing.enter_context(open_channel(f"127.0.0.1:{lineage.port}", "lineage")))


@pytest.fixture(scope="module")
def plant_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables = {"DW_MES_CONTAINER": CONTAINERS, "DW_MES_PJ_COMBINEDASSYLOTS": COMBINED}
    return plant_of(tables, tmp_path_factory.mktemp("containers") / "twin.duckdb", datetime(2025, 12, 31, 7, 30))


@pytest.fixture(scope="module", params=DOORS)
def resolver(plant_file: Path, request: pytest.FixtureRequest) -> Iterator[Resolver]:
    """The process over the plant, through either door."""
    door: Door = request.param
    with ExitStack() as closing:
        yield opened(closing, closing.enter_context(own_url_of(plant_file, door)))


@pytest.fixture
def on_file(plant_file: Path, tmp_path: Path) -> Iterator[Any]:
    """Start the process over the plant's file with a log of statements; keywords are settings."""
    with ExitStack() as closing:
        log = tmp_path / "statements.jsonl"
        yield lambda **settings: opened(closing, f"duckdb://{plant_file}", statement_log=log, **settings)


def pairs(answer: pb.ResolveContainersResponse) -> list[tuple[str, str]]:
    """Return value and name of each row."""
    return [(row.input_value, row.lot_id) for row in answer.data]


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        (LOT, ["ga1-001"], [("ga1-001", "GA1-001")]),
        (LOT, ["WF1-01X"], [("WF1-01X", "WF1-01X")]),
        (WAFER, ["WF1-01"], [("WF1-01", "GA1-001"), ("WF1-01", "GA1-002"), ("WF1-01", "GD3-001")]),
        (WAFER, ["wf1-01"], []),
        (ORDER, ["ga1"], [("ga1", "GA1-001"), ("ga1", "GA1-002"), ("ga1", "GA1_003")]),
        (ORDER, ["GC2"], [("GC2", "GC2-001")]),
        (GD_ORDER, ["gd3"], [("gd3", "GD3-001")]),
        (GD_LOT, ["gd3-001"], [("gd3-001", "GD3-001")]),
        (SERIAL, ["fn5"], []),
    ],
)
def test_each_kind_finds_what_it_names(
    resolver: Resolver, kind: pb.ContainerKind.ValueType, values: list[str], found: list[tuple[str, str]]
) -> None:
    assert pairs(resolver.ask(kind, *values)) == found


@pytest.mark.parametrize(
    ("kind", "value", "names"),
    [
        (LOT, "GA1*", ["GA1-001", "GA1-002", "GA1X003", "GA1_003"]),
        (LOT, "GA1-*", ["GA1-001", "GA1-002"]),
        (LOT, "GA1_*", ["GA1_003"]),
        (LOT, "GA*3", ["GA1X003", "GA1_003"]),
        (LOT, "GA%", []),
        (LOT, "GA1_003", ["GA1_003"]),
        (WAFER, "WF2*", ["GA1X003", "gd4-001"]),
        (WAFER, "WF2%*", ["gd4-001"]),
        (ORDER, "GA*", ["FN5", "GA1-001", "GA1-002", "GA1X003", "GA1_003"]),
    ],
)
def test_only_a_star_is_a_wildcard(
    resolver: Resolver, kind: pb.ContainerKind.ValueType, value: str, names: list[str]
) -> None:
    assert sorted(row.lot_id for row in resolver.ask(kind, value).data) == names


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        (ORDER, "GA4", "gd4-001"),
        (ORDER, "ga4*", "gd4-001"),
        (GD_LOT, "GD4-001", "gd4-001"),
        (GD_LOT, "gd4*", "gd4-001"),
    ],
)
def test_orders_and_rework_lots_are_found_whatever_the_case_they_are_kept_in(
    resolver: Resolver, kind: pb.ContainerKind.ValueType, value: str, name: str
) -> None:
    assert pairs(resolver.ask(kind, value)) == [(value, name)]


def test_serials_come_from_three_sources_and_a_container_once_by_the_best(resolver: Resolver) -> None:
    found = [(row.lot_id, row.match_source) for row in resolver.ask(SERIAL, "FN5").data]
    assert found == [("GA1-001", "finished_name"), ("GC2-001", "finished_name"), ("FN5", "container_name")]


def test_a_serial_pattern_finds_lots_only_by_their_own_name(resolver: Resolver) -> None:
    assert "FN50" not in [row.lot_id for row in resolver.ask(SERIAL, "FN5*").data]


def test_a_source_lot_that_is_no_container_any_more_is_still_named(resolver: Resolver) -> None:
    [row] = resolver.ask(SERIAL, "FN6").data
    assert (row.container_id, row.lot_id, row.spec_name, row.HasField("qty")) == ("gone", "GONE", "", False)


def test_a_row_has_what_the_warehouse_knows_of_the_container(resolver: Resolver) -> None:
    assert list(resolver.ask(LOT, "GA1-001").data) == [
        pb.ResolvedContainer(
            container_id=f"{1:016x}",
            lot_id="GA1-001",
            input_value="GA1-001",
            spec_name="Mold",
            qty=1,
            match_source="container_name",
        )
    ]


def test_a_container_that_several_values_mean_is_a_row_of_each(resolver: Resolver) -> None:
    answer = resolver.ask(LOT, "GA1-0*", "GA1-001", "GA1*1")
    assert pairs(answer) == [
        ("GA1-0*", "GA1-001"),
        ("GA1-0*", "GA1-002"),
        ("GA1-001", "GA1-001"),
        ("GA1*1", "GA1-001"),
    ]
    assert (answer.total, answer.guardrail.resolved_container_ids) == (4, 2)


def test_what_matched_and_what_did_not_is_said_as_typed(resolver: Resolver) -> None:
    answer = resolver.ask(LOT, "ga1-001", "nope", "GA1*", "No*")
    assert (answer.input_count, list(answer.not_found)) == (4, ["nope", "No*"])
    assert dict(answer.expansion_info) == {"ga1-001": 1, "GA1*": 4}


def test_nothing_asked_for_answers_empty(resolver: Resolver) -> None:
    answer = resolver.ask(LOT, "", "  ")
    assert (answer.total, answer.input_count, answer.receipt.warehouse_statement_count) == (0, 0, 0)
    assert answer.receipt.status == table_pb2.COMPLETENESS_COMPLETE


def test_a_kind_must_be_named(resolver: Resolver) -> None:
    with pytest.raises(ServiceError, match="kind: must be one of lot_id, wafer_lot, work_order"):
        resolver.ask(pb.CONTAINER_KIND_UNSPECIFIED, "GA1")


def test_the_receipt_counts_what_the_warehouse_did(resolver: Resolver) -> None:
    before = datetime.now(UTC)
    receipt = resolver.ask(SERIAL, "FN5", "FN5*").receipt
    assert (receipt.warehouse_statement_count, receipt.row_count, receipt.chunks.run) == (6, 6, 6)
    assert receipt.read_time.ToDatetime(UTC) >= before.replace(microsecond=0)


@pytest.mark.parametrize("door", DOORS)
def test_2500_values_take_three_statements_and_boundaries_do_not_matter(
    door: Door, tmp_path: Path, plant_file: Path
) -> None:
    names = [f"NO{number}" for number in range(2498)]
    names[999:999] = ["GA1-001"]
    names[1000:1000] = ["GA1-002"]
    with ExitStack() as closing:
        answer = opened(closing, closing.enter_context(own_url_of(plant_file, door))).ask(LOT, *names)
    assert (pairs(answer), answer.receipt.warehouse_statement_count) == (
        [("GA1-001", "GA1-001"), ("GA1-002", "GA1-002")],
        3,
    )


@pytest.mark.parametrize("value", ["GA1-001) or (1=1", "GA1-001 or 1=1", "GA1-0%", ":tokens_1", "GA1-001\\*"])
def test_sql_in_a_value_is_an_unknown_value(resolver: Resolver, value: str) -> None:
    assert list(resolver.ask(LOT, value).not_found) == [value]


def test_each_statement_is_one_permit_that_comes_back(on_file: Any) -> None:
    resolver = on_file(permit_wait_s=0.2)
    assert resolver.ask(SERIAL, "FN5", "FN5*").total == 6
    assert resolver.ask(SERIAL, "FN6").total == 1


def test_values_not_found_beyond_the_limit_are_not_looked_for_in_any_case_and_it_is_said(on_file: Any) -> None:
    receipt = on_file(resolve_any_case_max_count=1).ask(ORDER, "GA4", "GA5").receipt
    assert receipt.plan == "1 statement read 0 rows; 2 values not found were too many to be looked for in any case"


def test_above_the_guard_rails_an_answer_is_flagged_and_whole(on_file: Any) -> None:
    answer = on_file(resolve_rail_per_value=2, resolve_rail_containers=3).ask(LOT, "GA1*", "GC2-001", "GA1-*")
    rail = answer.guardrail
    assert (answer.total, answer.receipt.status) == (7, table_pb2.COMPLETENESS_COMPLETE)
    assert (rail.max_expansion_per_token, rail.max_container_ids) == (2, 3)
    assert [(one.token, one.count) for one in rail.expansion_offenders] == [("GA1*", 4)]
    assert (rail.expansion_offender_count, rail.resolved_container_ids, rail.over_container_limit) == (1, 5, True)


def test_within_the_guard_rails_nothing_is_flagged(resolver: Resolver) -> None:
    rail = resolver.ask(LOT, "GA1*").guardrail
    assert (list(rail.expansion_offenders), rail.over_container_limit) == ([], False)


def test_an_answer_that_fits_no_message_names_the_call_that_streams(on_file: Any) -> None:
    with pytest.raises(OutOfRange, match="ask ReadContainers"):
        on_file(max_response_bytes=1024).ask(LOT, *(f"GA1-{number:03}" for number in range(200)))


def test_values_and_tables_stream(resolver: Resolver) -> None:
    summary, tables = resolver.read(
        pb.ReadContainersRequest(kind=LOT, values=["ga1-001", "nope"]), pb.ReadContainersRequest(values=["GA1-*"])
    )
    assert (summary.total, summary.input_count, summary.not_found_count) == (3, 3, 1)
    assert tables[pb.CONTAINER_TABLE_TOKENS].to_pydict() == {
        "input_value": ["ga1-001", "nope", "GA1-*"],
        "container_count": [1, 0, 2],
    }
    rows = tables[pb.CONTAINER_TABLE_CONTAINERS]
    assert rows.column_names == ["container_id", "lot_id", "input_value", "spec_name", "qty", "match_source"]
    assert rows.column("input_value").to_pylist() == ["ga1-001", "GA1-*", "GA1-*"]


def test_a_stream_without_rows_still_has_its_columns(resolver: Resolver) -> None:
    _, tables = resolver.read(pb.ReadContainersRequest(kind=LOT))
    assert [table.num_rows for table in tables.values()] == [0, 0]


@pytest.mark.parametrize(
    "later", [pb.ReadContainersRequest(kind=ORDER, values=["GA1"]), pb.ReadContainersRequest(values=["*"])]
)
def test_a_later_message_is_checked_like_the_first(resolver: Resolver, later: pb.ReadContainersRequest) -> None:
    with pytest.raises(ServiceError) as caught:
        resolver.read(pb.ReadContainersRequest(kind=LOT, values=["GA1"]), later)
    assert caught.value.reason == InvalidParameter.reason


def messages(values: Sequence[str], size: int) -> Iterator[pb.ReadContainersRequest]:
    """Return a request for lots in messages of so many values."""
    for start in range(0, len(values), size):
        yield pb.ReadContainersRequest(kind=LOT, values=values[start : start + size])


def test_more_rows_than_an_answer_holds_are_refused(twin_path: Path) -> None:
    with ExitStack() as closing:
        resolver = opened(closing, f"duckdb://{twin_path}", resolve_max_row_count=1000)
        with pytest.raises(OutOfRange, match="narrow the patterns") as caught:
            resolver.read(pb.ReadContainersRequest(kind=LOT, values=["GA*", "GA2*"]))
    assert (caught.value.reason, caught.value.metadata["limit"]) == ("RESULT_TOO_LARGE", "1000")


def test_the_twin_resolves_every_lot_of_a_plant(twin_path: Path) -> None:
    with ExitStack() as closing:
        resolver = opened(closing, f"duckdb://{twin_path}")
        answer = resolver.ask(LOT, "GA*", "GC*", "GD*", "WF*")
        again = resolver.read(*messages([row.lot_id for row in answer.data], 300))
    assert answer.total > 900
    assert (again[0].total, again[0].not_found_count) == (answer.total, 0)
