"""The `sluice` command against a running suite: the same rows as over HTTP, and a query that ends with its command."""

from __future__ import annotations

import io
import re
import signal
import subprocess
from datetime import datetime
from pathlib import Path

import httpx
import pyarrow.csv
import pyarrow.parquet as pq

from tests.e2e.demo_process import SLUICE, run_sluice
from tests.polling import poll_until
from tests.running_suite import RunningSuite
from tests.spreadsheets import instant
from tests.spreadsheets import read as read_sheets

QUERY = ("query", "hold-history", "--start", "2025-10-01", "--end", "2025-11-30", "--filter", "hold_type=all")
BODY = {"start_date": "2025-10-01", "end_date": "2025-11-30", "hold_type": "all"}


def test_parquet_holds_every_row_the_view_counts(suite: RunningSuite, http: httpx.Client, tmp_path: Path) -> None:
    out = tmp_path / "holds.parquet"
    result = run_sluice(*QUERY, "--url", suite.url, "--format", "parquet", "--out", str(out), data_dir=tmp_path)
    answer = http.post("/api/hold-history/query", json=BODY).json()
    assert result.returncode == 0, result.stderr.decode()
    assert pq.read_table(out).num_rows == answer["views"]["list"]["page"]["total_count"] > 0


def test_a_spreadsheet_holds_the_rows_of_the_view_in_its_order(
    suite: RunningSuite, http: httpx.Client, tmp_path: Path
) -> None:
    out = tmp_path / "holds.xlsx"
    result = run_sluice(*QUERY, "--url", suite.url, "--format", "xlsx", "--out", str(out), data_dir=tmp_path)
    view = http.post("/api/hold-history/query", json=BODY | {"page_size": 200}).json()["views"]["list"]
    assert result.returncode == 0, result.stderr.decode()
    _, *rows = read_sheets(out.read_bytes())["rows"].rows
    assert len(rows) == view["page"]["total_count"]
    held = [column["name"] for column in view["columns"]].index("hold_time")
    shown = [(row[0], datetime.fromisoformat(row[held])) for row in view["rows"]]
    assert [(row[0], instant(row[held])) for row in rows[: len(shown)]] == shown


def test_csv_of_a_chart_view_holds_its_rows(suite: RunningSuite, http: httpx.Client, tmp_path: Path) -> None:
    arguments = (*QUERY, "--view", "reason_pareto", "--format", "csv")
    result = run_sluice(*arguments, "--url", suite.url, data_dir=tmp_path)
    rows = http.post("/api/hold-history/query", json=BODY).json()["views"]["reason_pareto"]["rows"]
    read = pyarrow.csv.read_csv(io.BytesIO(result.stdout))
    assert read["reason"].to_pylist() == [row[0] for row in rows]


def test_a_table_is_printed_with_the_plan_on_standard_error(suite: RunningSuite, tmp_path: Path) -> None:
    result = run_sluice(*QUERY, "--view", "duration", "--url", suite.url, data_dir=tmp_path)
    assert (result.returncode, b">3d" in result.stdout) == (0, True)
    assert re.search("were there", result.stderr.decode())


def test_a_range_past_the_limit_is_one_line(suite: RunningSuite, tmp_path: Path) -> None:
    arguments = ("query", "hold-history", "--start", "2000-01-01", "--end", "2025-01-01", "--url", suite.url)
    result = run_sluice(*arguments, data_dir=tmp_path)
    assert (result.returncode, len(result.stderr.decode().splitlines())) == (1, 1)


def test_an_unknown_dataset_is_one_line(suite: RunningSuite, tmp_path: Path) -> None:
    arguments = ("query", "nothing", "--start", "2025-01-01", "--end", "2025-01-02", "--url", suite.url)
    result = run_sluice(*arguments, data_dir=tmp_path)
    assert (result.returncode, len(result.stderr.decode().splitlines())) == (1, 1)


def test_an_unknown_view_is_refused_before_the_warehouse_is_asked(suite: RunningSuite, tmp_path: Path) -> None:
    before = suite.statements.count()
    arguments = ("query", "hold-history", "--start", "2024-02-05", "--end", "2024-02-09", "--view", "nothing")
    result = run_sluice(*arguments, "--url", suite.url, data_dir=tmp_path)
    assert (result.returncode, len(result.stderr.decode().splitlines())) == (1, 1)
    assert suite.statements.count() == before


def test_ctrl_c_withdraws_the_query(suite: RunningSuite, http: httpx.Client) -> None:
    before = suite.statements.count()
    # Whatever others have read of these days, it is read again.
    command = [str(SLUICE), "query", "hold-history", "--start", "2024-01-05", "--end", "2024-01-09", "--no-cache"]
    with (
        suite.faults([{"statement": "slice", "start_time": "2024-01-04T07:30:00", "delay_s": 60}]),
        subprocess.Popen([*command, "--url", suite.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        poll_until(lambda: suite.statements.since(before), 60, "the statement")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    plan = http.post("/api/hold-history/plan", json={"start_date": "2024-01-05", "end_date": "2024-01-09"}).json()

    def status() -> bool:
        return str(http.get(f"/api/queries/{plan['query_id']}").json()["status"]) == "cancelled"

    assert process.returncode == 130
    poll_until(status, 60, "the cancelled query")
