"""Views, options, exports and frames over HTTP."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import FailedPrecondition, Unavailable

from tests.unit.gateway.stand_ins import LIST, QUERY_ID, TREND, FakeQueryService, partial_receipt

pytestmark = pytest.mark.anyio

VIEW = f"/api/hold-history/view?query_id={QUERY_ID}"
EXPORT = f"/api/hold-history/export?query_id={QUERY_ID}"
FRAME = f"/api/hold-history/frame?query_id={QUERY_ID}"
ARROW = "application/vnd.apache.arrow.stream"


def asked_view(engine: FakeQueryService) -> pb.ReadViewRequest:
    [request] = engine.asked(pb.ReadViewRequest)
    assert isinstance(request, pb.ReadViewRequest)
    return request


async def test_a_view_is_columns_and_rows(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{VIEW}&view=trend")

    assert response.json()["views"]["trend"] == {
        "columns": [
            {"name": "day", "type": "date32[day]"},
            {"name": "hold_type", "type": "string"},
            {"name": "hold_qty", "type": "int64"},
            {"name": "share", "type": "double"},
        ],
        "rows": [["2024-01-01", "quality", 2**53 - 1, None], ["2024-01-02", "all", None, 12.5]],
    }


async def test_a_paged_view_says_which_page_and_shows_plant_times_as_they_are(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{VIEW}&view=list")

    view = response.json()["views"]["list"]
    assert view["page"] == {"page": 1, "page_size": 50, "total_count": 2, "page_count": 1}
    assert view["rows"][0] == ["GA26010001", "2024-01-01T07:29:59", -5, ""]


async def test_an_answer_of_no_rows_keeps_its_columns(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.tables["trend"] = TREND.slice(0, 0)

    response = await http.get(f"{VIEW}&view=trend")

    view = response.json()["views"]["trend"]
    assert (len(view["columns"]), view["rows"]) == (4, [])


async def test_a_large_answer_is_the_same_as_a_small_one(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.tables["trend"] = pa.concat_tables([TREND] * 10_000)

    response = await http.get(f"{VIEW}&view=trend")

    rows = response.json()["views"]["trend"]["rows"]
    assert (len(rows), rows[-1]) == (20_000, ["2024-01-02", "all", None, 12.5])


async def test_filters_of_the_query_string_arrive_with_their_types(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    await http.get(f"{VIEW}&hold_type=all&record_type=new,on_hold&record_type=released&min_qty=3&reason=Scratch")

    assert pb.ReadViewRequest(filters=asked_view(engine).filters) == _filters(
        {"hold_type": "all", "record_type": ["new", "on_hold", "released"], "min_qty": 3, "reason": "Scratch"}
    )


async def test_the_json_form_holds_values_with_commas(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.get(VIEW, params={"query_id": QUERY_ID, "reason": '{"exclude": ["Yield, low"]}'})

    assert pb.ReadViewRequest(filters=asked_view(engine).filters) == _filters({"reason": {"exclude": ["Yield, low"]}})


async def test_repeated_json_forms_are_joined(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.get(VIEW, params={"query_id": QUERY_ID, "reason": ['["Yield, low"]', "Scratch", '["[x]"]']})

    expected = _filters({"reason": ["Yield, low", "Scratch", "[x]"]})
    assert pb.ReadViewRequest(filters=asked_view(engine).filters) == expected


async def test_a_pattern_with_named_groups_is_understood(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{VIEW}&day_filter=2025-01-01:new")

    assert response.status_code == 200


async def test_a_posted_view_takes_exact_values(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    response = await http.post(
        "/api/hold-history/view", json={"query_id": QUERY_ID, "views": ["list"], "reason": ["a,b"], "order": "desc"}
    )

    assert response.status_code == 200
    assert pb.ReadViewRequest(filters=asked_view(engine).filters) == _filters({"reason": ["a,b"]})
    assert asked_view(engine).descending


async def test_ascending_is_told_apart_from_no_order(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.get(f"{VIEW}&sort=hold_time&order=asc")

    assert (asked_view(engine).HasField("descending"), asked_view(engine).descending) == (True, False)


async def test_one_view_is_answered_as_arrow_with_its_receipt(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.receipt = partial_receipt()

    response = await http.get(f"{VIEW}&view=trend", headers={"Accept": ARROW})

    table = pa.ipc.open_stream(response.content).read_all()
    assert response.headers["content-type"] == ARROW
    assert table.drop_columns("share").equals(TREND.drop_columns("share"))
    assert json.loads(table.schema.metadata[b"sluice.receipt"])["failed_ranges"][0]["part"] == "slice"


async def test_two_views_cannot_be_one_arrow_stream(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{VIEW}&view=trend,list", headers={"Accept": ARROW})

    assert (response.status_code, response.json()["metadata"]["field"]) == (400, "view")


async def test_a_view_of_a_running_query_is_409(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.failures["ReadView"] = FailedPrecondition("still runs", reason="QUERY_NOT_READY", query_id=QUERY_ID)

    response = await http.get(VIEW)

    assert (response.status_code, response.json()["code"]) == (409, "QUERY_NOT_READY")


async def test_options_are_listed_by_filter(http: httpx.AsyncClient) -> None:
    response = await http.get(f"/api/hold-history/options?query_id={QUERY_ID}&hold_type=all")

    assert response.json()["options"] == {
        "reason": {"values": [{"value": "Scratch", "row_count": 3}], "truncated": False}
    }


async def test_csv_has_a_byte_order_mark_and_no_formulas(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{EXPORT}&format=csv")

    assert response.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert rows == [
        ["lot_id", "hold_time", "qty", "comment"],
        ["GA26010001", "2024-01-01 07:29:59", "-5", ""],
        ["'=cmd|' /C calc'!A0", "", "7", 'said "no", twice'],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "%0A=1", "|calc"])
async def test_whatever_starts_a_formula_is_neutralised(
    http: httpx.AsyncClient, engine: FakeQueryService, text: str
) -> None:
    engine.tables["list"] = pa.table({"comment": pa.array([text]).dictionary_encode()})

    response = await http.get(f"{EXPORT}&format=csv")

    cells = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))
    assert cells[1] == [f"'{text}"]


async def test_an_incomplete_csv_ends_with_what_is_missing(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.receipt = partial_receipt()

    response = await http.get(f"{EXPORT}&format=csv")

    last = list(csv.reader(io.StringIO(response.text)))[-1][0]
    assert json.loads(last.removeprefix("# sluice.receipt "))["failed_ranges"][0]["code"] == "QUERY_TIMEOUT"
    assert f'filename="hold-history-list-{QUERY_ID}-partial.csv"' in response.headers["content-disposition"]


async def test_every_export_has_its_receipt_in_a_header(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{EXPORT}&format=arrow")

    assert json.loads(response.headers["sluice-receipt"])["plan"] == "12 of 13 chunks were there; 1 × 7 days read"


async def test_parquet_holds_rows_and_receipt(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.receipt = partial_receipt()

    response = await http.get(f"{EXPORT}&format=parquet")

    table = pa.parquet.read_table(io.BytesIO(response.content))
    assert json.loads(table.schema.metadata[b"sluice.receipt"])["status"] == "partial"
    assert table.select(["lot_id", "qty"]).equals(LIST.select(["lot_id", "qty"]))


async def test_a_parquet_file_of_many_batches_is_whole(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.tables["list"] = pa.concat_tables([LIST] * 100_000).combine_chunks()

    response = await http.get(f"{EXPORT}&format=parquet")

    file = pa.parquet.ParquetFile(io.BytesIO(response.content))
    assert (file.metadata.num_rows, file.num_row_groups) == (200_000, 4)


async def test_an_arrow_export_is_the_rows_with_their_receipt(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{EXPORT}&format=arrow")

    table = pa.ipc.open_stream(response.content).read_all()
    assert table.equals(LIST)
    assert json.loads(table.schema.metadata[b"sluice.receipt"])["query_id"] == QUERY_ID


async def test_a_frame_keeps_its_dictionaries(http: httpx.AsyncClient) -> None:
    response = await http.get(FRAME)

    table = pa.ipc.open_stream(response.content).read_all()
    assert table.drop_columns("share").equals(TREND.drop_columns("share"))


async def test_a_frame_as_parquet(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{FRAME}&format=parquet")

    assert pa.parquet.read_table(io.BytesIO(response.content)).num_rows == 2


async def test_an_unknown_format_names_the_known_ones(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{EXPORT}&format=xls")

    assert response.status_code == 400
    assert response.json()["errors"] == [{"field": "format", "description": "must be one of csv, parquet, arrow, xlsx"}]


async def test_a_view_without_rows_cannot_be_exported(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{EXPORT}&view=trend")

    assert response.json()["errors"] == [
        {"field": "view", "description": "cannot be exported; views with rows are list"}
    ]


async def test_an_export_that_fails_before_its_first_byte_is_a_problem(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.failures["ExportRows"] = FailedPrecondition("still runs", reason="QUERY_NOT_READY")

    response = await http.get(EXPORT)

    assert (response.status_code, response.json()["code"]) == (409, "QUERY_NOT_READY")


@pytest.mark.parametrize("file_format", ["csv", "parquet", "arrow"])
async def test_an_export_that_breaks_later_never_looks_finished(
    gateway_raising: httpx.AsyncClient, engine: FakeQueryService, file_format: str
) -> None:
    engine.tables["list"] = pa.concat_tables([LIST] * 100_000).combine_chunks()
    engine.breaks_after_piece = Unavailable("gone")

    with pytest.raises(Exception, match="SERVICE_UNAVAILABLE") as raised:
        await gateway_raising.get(f"{EXPORT}&format={file_format}")

    assert type(raised.value).__name__ == "AnswerCut"


def _filters(values: dict[str, Any]) -> pb.ReadViewRequest:
    expected = pb.ReadViewRequest()
    expected.filters.update(values)
    return expected
