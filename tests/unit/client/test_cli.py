"""The `sluice` command against a stand-in gateway: what it prints, where, and what it exits with."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sluice_client.query_command import receipt_lines

from tests.e2e.demo_process import SLUICE, run_sluice
from tests.unit.client.stand_in_gateway import Canned, StandIn, canned, events, problem, stand_in_gateway

QUERY_ID = "0123456789abcdef"
DAYS = ("--start", "2025-01-01", "--end", "2025-03-31")
START = "POST /api/hold-history/query"
EVENTS = f"GET /api/queries/{QUERY_ID}/events"
VIEW = "GET /api/hold-history/view"
EXPORT = "GET /api/hold-history/export"

RECEIPT = {"query_id": QUERY_ID, "status": "complete", "failed_ranges": [], "plan": "2 of 3 chunks were there"}
GAP = {"part": "slice", "start": "2025-02-01T07:30:00", "end": "2025-03-04T07:30:00", "code": "QUERY_TIMEOUT"}
PARTIAL = RECEIPT | {"status": "partial", "failed_ranges": [GAP]}
DEFINITION = {
    "name": "hold-history",
    "route": "hold-history",
    "title": "Hold history",
    "max_range_days": 730,
    "views": [{"name": "list", "paged": True}, {"name": "trend", "paged": False}],
}
LIST = {
    "columns": [{"name": "lot_id", "type": "string"}, {"name": "qty", "type": "int64"}],
    "rows": [["A[red]1", 7], ["B2", None]],
    "page": {"page": 1, "page_size": 50, "total_count": 120, "page_count": 3},
}
ROWS = pa.table({"lot_id": pa.array(["A1", "B,2", None]).dictionary_encode(), "qty": pa.array([7, None, 3])})


def state(status: str, completed: int, **more: Any) -> dict[str, Any]:
    progress = {"total_count": 3, "completed_count": completed, "failed_count": 0, "row_count": completed * 100}
    return {"query_id": QUERY_ID, "status": status, "progress": progress, **more}


def arrow_body(table: pa.Table, receipt: bytes = b'{"plan": "3 of 3 chunks were there"}') -> Canned:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema.with_metadata({b"sluice.receipt": receipt})) as writer:
        writer.write_table(table)
    return Canned(200, sink.getvalue(), "application/vnd.apache.arrow.stream")


def responses(**replaced: Canned | list[Canned]) -> dict[str, list[Canned]]:
    """Return a good run of a query, with the named steps answered otherwise."""
    good: Mapping[str, Canned | list[Canned]] = {
        "definition": canned(DEFINITION),
        "start": canned(state("running", 1), 202),
        "events": events([state("running", 1), state("running", 2), state("completed", 3)]),
        "view": canned({"query_id": QUERY_ID, "receipt": RECEIPT, "views": {"list": LIST}}),
        "export": arrow_body(ROWS),
    } | replaced
    steps = {"definition": "GET /api/datasets/hold-history", "start": START, "events": EVENTS}
    steps |= {"view": VIEW, "export": EXPORT}
    return {steps[name]: value if isinstance(value, list) else [value] for name, value in good.items()}


def query(stand_in: StandIn, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return run_sluice("query", "hold-history", *DAYS, "--url", stand_in.url, *arguments, data_dir=tmp_path)


def in_terminal(arguments: list[str], data_dir: Path) -> str:
    """Run the command in a terminal of 80 columns to its end and return all it showed."""
    ours, its = pty.openpty()
    environment = dict(os.environ, SLUICE_DATA_DIR=str(data_dir), COLUMNS="80", LINES="40", TERM="xterm")
    with subprocess.Popen([str(SLUICE), *arguments], stdin=its, stdout=its, stderr=its, env=environment):
        os.close(its)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        # Linux's way to say that the other side has closed.
        return b""


def test_a_table_shows_values_as_they_are(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        result = query(gateway, tmp_path)
    assert result.returncode == 0
    assert "A[red]1" in result.stdout.decode()


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        result = query(gateway, tmp_path)
    lines = [line for line in result.stderr.decode().splitlines() if "chunks, " in line]
    assert lines == [
        "1 of 3 chunks, 100 rows read",
        "2 of 3 chunks, 200 rows read",
        "3 of 3 chunks, 300 rows read",
    ]


def test_progress_on_a_terminal_is_a_bar(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        shown = in_terminal(["query", "hold-history", *DAYS, "--url", gateway.url], tmp_path)
    assert "3/3" in shown
    assert "chunks ·" in shown


def test_columns_without_room_on_a_terminal_are_counted(tmp_path: Path) -> None:
    columns = [{"name": f"column_{number}", "type": "string"} for number in range(20)]
    wide = {"columns": columns, "rows": [["a value"] * 20]}
    view = canned({"query_id": QUERY_ID, "receipt": RECEIPT, "views": {"list": wide}})
    with stand_in_gateway(responses(view=view)) as gateway:
        shown = in_terminal(["query", "hold-history", *DAYS, "--url", gateway.url], tmp_path)
    assert "column_0" in shown
    assert "7 of 20 columns have room" in shown


def test_a_table_says_how_many_rows_there_are_beyond_it(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        result = query(gateway, tmp_path)
    assert "2 of 120 rows" in result.stderr.decode()


def test_a_query_that_is_there_already_asks_for_no_progress(tmp_path: Path) -> None:
    finished = canned({"query_id": QUERY_ID, "status": "completed", "receipt": RECEIPT, "views": {}})
    with stand_in_gateway(responses(start=finished)) as gateway:
        result = query(gateway, tmp_path)
    assert (result.returncode, [asked for asked in gateway.asked if asked.startswith(EVENTS)]) == (0, [])


def test_a_partial_answer_warns_on_standard_error_with_the_range(tmp_path: Path) -> None:
    partial = canned({"query_id": QUERY_ID, "receipt": PARTIAL, "views": {"list": LIST}})
    with stand_in_gateway(responses(view=partial)) as gateway:
        result = query(gateway, tmp_path)
    told = result.stderr.decode()
    assert "WARNING" in told
    assert "slice: 2025-02-01T07:30:00 to 2025-03-04T07:30:00: QUERY_TIMEOUT" in told


def test_csv_goes_to_standard_output_alone(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        result = query(gateway, tmp_path, "--format", "csv")
    assert result.stdout.decode() == '"lot_id","qty"\n"A1",7\n"B,2",\n,3\n'


def test_a_csv_of_a_partial_answer_ends_with_what_is_missing(tmp_path: Path) -> None:
    with stand_in_gateway(responses(export=arrow_body(ROWS, json.dumps(PARTIAL).encode()))) as gateway:
        result = query(gateway, tmp_path, "--format", "csv")
    *_, last = csv.reader(io.StringIO(result.stdout.decode()))
    assert json.loads(last[0].removeprefix("# sluice.receipt ")) == PARTIAL


def test_parquet_goes_to_the_file(tmp_path: Path) -> None:
    out = tmp_path / "holds.parquet"
    with stand_in_gateway(responses()) as gateway:
        result = query(gateway, tmp_path, "--format", "parquet", "--out", str(out))
    assert (result.returncode, pq.read_table(out)["qty"].to_pylist()) == (0, [7, None, 3])


def test_arrow_to_a_pipe_is_a_stream(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        result = query(gateway, tmp_path, "--format", "arrow")
    with pa.ipc.open_stream(result.stdout) as reader:
        assert reader.read_all()["lot_id"].to_pylist() == ["A1", "B,2", None]


def test_a_spreadsheet_goes_to_the_file_as_the_gateway_wrote_it(tmp_path: Path) -> None:
    out = tmp_path / "holds.xlsx"
    with stand_in_gateway(responses(export=Canned(200, b"PK whole", "application/octet-stream"))) as gateway:
        result = query(gateway, tmp_path, "--format", "xlsx", "--out", str(out))
    assert (result.returncode, out.read_bytes()) == (0, b"PK whole")
    assert any(asked.startswith(EXPORT) and "format=xlsx" in asked for asked in gateway.asked)


def test_a_spreadsheet_that_is_refused_is_its_detail_and_no_file(tmp_path: Path) -> None:
    out, refused = tmp_path / "holds.xlsx", problem(413, "RESULT_TOO_LARGE", "csv, parquet and arrow hold any number")
    with stand_in_gateway(responses(export=refused)) as gateway:
        result = query(gateway, tmp_path, "--format", "xlsx", "--out", str(out))
    assert (result.returncode, out.exists()) == (1, False)
    assert "csv, parquet and arrow hold any number" in result.stderr.decode()


def test_a_spreadsheet_is_not_shown_on_a_terminal(tmp_path: Path) -> None:
    shown = in_terminal(["query", "hold-history", *DAYS, "--format", "xlsx"], tmp_path)
    assert "xlsx is no text" in shown


def test_a_partial_receipt_without_its_ranges_still_warns() -> None:
    assert receipt_lines({"status": "partial", "failed_ranges": None}) == [
        "WARNING: this answer is partial; the file's receipt names what is missing"
    ]


def test_an_export_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    out, whole = tmp_path / "holds.csv", arrow_body(ROWS)
    broken = Canned(200, whole.body[: len(whole.body) // 2], whole.content_type)
    with stand_in_gateway(responses(export=broken)) as gateway:
        result = query(gateway, tmp_path, "--format", "csv", "--out", str(out))
    assert (result.returncode, b"Traceback" in result.stderr, out.exists()) == (1, False, False)


def test_filters_are_passed_on_each_value_whole(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        query(gateway, tmp_path, "--filter", "record_type=new", "--filter", "record_type=released")
        query(gateway, tmp_path, "--filter", "reason=Scratch, deep")
    asked = [target for target in gateway.asked if target.startswith(VIEW)]
    assert "record_type=new&record_type=released" in asked[0]
    assert "reason=%5B%22Scratch%2C+deep%22%5D" in asked[1]


def test_an_expired_result_is_asked_again_once(tmp_path: Path) -> None:
    gone = problem(410, "CACHE_EXPIRED", "the result is gone")
    views = [gone, canned({"query_id": QUERY_ID, "receipt": RECEIPT, "views": {"list": LIST}})]
    with stand_in_gateway(responses(view=views)) as gateway:
        result = query(gateway, tmp_path)
    assert (result.returncode, gateway.asked.count(START)) == (0, 2)


def test_a_problem_is_its_detail_and_exit_code_1(tmp_path: Path) -> None:
    refused = problem(400, "INVALID_PARAMETER", "end_date: is before start_date")
    with stand_in_gateway(responses(start=refused)) as gateway:
        result = query(gateway, tmp_path)
    told = result.stderr.decode()
    assert (result.returncode, told) == (1, "end_date: is before start_date (INVALID_PARAMETER)\n")


def test_a_failed_query_is_told_with_its_code(tmp_path: Path) -> None:
    error = {"code": "WAREHOUSE_UNAVAILABLE", "message": "the warehouse cannot be reached"}
    with stand_in_gateway(responses(events=events([state("failed", 0, error=error)]))) as gateway:
        result = query(gateway, tmp_path)
    told = result.stderr.decode().splitlines()[-1]
    assert (result.returncode, told) == (1, "the warehouse cannot be reached (WAREHOUSE_UNAVAILABLE)")


def test_a_page_that_is_no_problem_document_is_told_in_one_line(tmp_path: Path) -> None:
    page = Canned(502, b"<html>bad gateway</html>", "text/html")
    with stand_in_gateway(responses(definition=page)) as gateway:
        result = query(gateway, tmp_path)
    assert (result.returncode, result.stderr.decode()) == (1, "Bad Gateway (HTTP 502)\n")


def test_a_server_that_is_no_gateway_is_told_in_one_line(tmp_path: Path) -> None:
    with stand_in_gateway(responses(definition=Canned(200, b"hello", "text/plain"))) as gateway:
        result = query(gateway, tmp_path)
    assert (result.returncode, len(result.stderr.decode().splitlines())) == (1, 1)


def test_nobody_listening_is_told_in_one_line(tmp_path: Path) -> None:
    result = query(StandIn({}, url="http://127.0.0.1:9"), tmp_path)
    assert (result.returncode, len(result.stderr.decode().splitlines())) == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "hold-history", "--start", "2025-13-01", "--end", "2025-01-02"),
        ("query", "hold-history", "--start", "2025-01-01"),
        ("query", "hold-history", *DAYS, "--filter", "reason"),
        ("query", "hold-history", *DAYS, "--format", "pdf"),
        ("query", "hold-history", *DAYS, "--out", "file"),
        ("demo", "--port", "70000"),
        ("nonsense",),
    ],
)
def test_a_usage_error_is_exit_code_2_without_a_traceback(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = run_sluice(*arguments, data_dir=tmp_path)
    assert (result.returncode, b"Traceback" in result.stderr) == (2, False)


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with stand_in_gateway(responses()) as gateway:
        result = query(gateway, tmp_path, "--format", "csv", "--out", str(tmp_path / "missing" / "file.csv"))
    assert (result.returncode, "No such file" in result.stderr.decode().splitlines()[-1]) == (1, True)


def test_a_twin_is_written_with_its_truths_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "plant.duckdb"
    result = run_sluice("twin", "--scale", "0.02", "--out", str(out), data_dir=tmp_path)
    assert (result.returncode, out.exists(), (tmp_path / "plant.truth.json").exists()) == (0, True, True)
