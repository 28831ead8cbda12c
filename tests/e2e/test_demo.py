"""`sluice demo` from outside: it comes up, says what one needs, refuses what cannot work, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.demo_process import ServingDemo, run_sluice, started_demo
from tests.polling import poll_until


def test_everything_serves_when_the_url_is_printed(demo_http: httpx.Client) -> None:
    assert demo_http.get("/health/ready").status_code == 200


def test_the_printed_block_says_where_the_logs_are(demo: ServingDemo) -> None:
    assert str(demo.process.data_dir / "logs") in demo.process.text()


def test_the_printed_block_lists_the_datasets(demo: ServingDemo) -> None:
    assert "hold-history" in demo.process.text()


def test_each_process_writes_a_log_of_its_own(demo: ServingDemo) -> None:
    written = {path.name for path in (demo.process.data_dir / "logs").glob("*.log")}
    assert {"redis.log", "cache.log", "lineage.log", "query-engine.log", "gateway.log"} <= written


def test_a_second_demo_on_the_folder_is_refused(demo: ServingDemo) -> None:
    refused = run_sluice("demo", "--port", "0", data_dir=demo.process.data_dir)
    assert (refused.returncode, demo.url in refused.stderr.decode()) == (2, True)


def test_a_port_in_use_is_named_with_the_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run_sluice("demo", "--port", str(port), data_dir=tmp_path)
    assert refused.returncode == 2
    assert f"port {port} is in use" in refused.stderr.decode()
    assert "--port 0" in refused.stderr.decode()


def test_a_scale_that_makes_no_plant_is_refused(tmp_path: Path) -> None:
    assert run_sluice("demo", "--port", "0", "--scale=-1", data_dir=tmp_path).returncode == 2


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that one demo after the other is started on; the first one makes the plant."""
    return tmp_path_factory.mktemp("kept")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_everything(number: signal.Signals, kept: Path) -> None:
    with started_demo(kept, "--port", "0") as demo:
        demo.await_serving()
        children = demo.children()
        exit_code = demo.stop(number)
    assert exit_code == 0
    # Redis and four of ours, and what these began of their own.
    assert len(children) >= 5
    assert [child for child in children if child.is_running()] == []
    assert not (demo.data_dir / "demo.json").exists()


def test_ctrl_c_while_the_plant_is_generated_leaves_no_half_of_one(tmp_path: Path) -> None:
    with started_demo(tmp_path, "--port", "0") as demo:
        poll_until(lambda: "generating" in demo.text(), 30, "the first sentence")
        exit_code = demo.stop(signal.SIGINT)
    assert exit_code == 0
    assert [path.name for path in demo.data_dir.rglob("*plant*") if path.is_file()] == []


def test_datasets_are_listed_for_the_running_demo(demo: ServingDemo) -> None:
    listed = run_sluice("datasets", data_dir=demo.process.data_dir)
    assert (listed.returncode, b"hold-history" in listed.stdout) == (0, True)


def test_health_is_told_for_the_running_demo(demo: ServingDemo) -> None:
    told = run_sluice("health", data_dir=demo.process.data_dir)
    assert (told.returncode, b"is healthy" in told.stdout) == (0, True), told.stdout.decode()


def test_health_of_nobody_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    told = run_sluice("health", "--url", "http://127.0.0.1:9", data_dir=tmp_path)
    assert (told.returncode, len(told.stderr.decode().splitlines())) == (1, 1)


def test_the_definition_of_a_dataset_names_its_longest_range(demo_http: httpx.Client) -> None:
    listed = json.loads(demo_http.get("/api/datasets").content)["datasets"]
    assert [dataset["max_range_days"] >= 365 for dataset in listed if dataset["name"] == "hold-history"] == [True]
