"""Plants of a few containers, and the lineage process over them on a free port."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc
from sluice_lineage.bootstrap import Process, build
from sluice_lineage.settings import Settings
from sluice_rpc.client import open_channel
from sluice_twin import plant_of

from tests.unit.lineage.stub import Lineage
from tests.warehouse_urls import stand_in_url

Start = Callable[..., Lineage]

ORACLE_WALKS = ("connect_by", "recursive_with")


def plant(path: Path, parents: Mapping[str, str | None]) -> Path:
    """Write a plant whose containers are the keys, split from the values, named `lot <id>`."""
    plant_of({}, path, datetime(2025, 12, 31, 7, 30))
    rows = pa.table(
        {
            "CONTAINERID": [child.ljust(16) for child in parents],
            "CONTAINERNAME": [f"lot {child}" for child in parents],
            "SPLITFROMID": pa.array([parent and parent.ljust(16) for parent in parents.values()], pa.string()),
        }
    )
    with duckdb.connect(str(path)) as connection:
        connection.register("new_rows", rows)
        # One statement for all rows: a thousand single inserts into so wide a table take half a minute.
        connection.execute("insert into DWH.DW_MES_CONTAINER by name select * from new_rows")
    return path


@pytest.fixture
def start_on_file(tmp_path: Path) -> Iterator[Start]:
    """Start lineage over a plant with these parents, which keeps a log and has faults; more keywords are settings."""
    with ExitStack() as closing:

        def start_process(parents: Mapping[str, str | None], **settings: object) -> Lineage:
            path = plant(tmp_path / "twin.duckdb", parents)
            return serve(
                closing, warehouse_url=f"duckdb://{path}", statement_log=tmp_path / "statements.jsonl", **settings
            )

        yield start_process


@pytest.fixture(params=["duckdb", *ORACLE_WALKS])
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start lineage over a plant with these parents: as a file, and through the Oracle driver by each of its texts."""
    with ExitStack() as closing:

        def start_process(parents: Mapping[str, str | None], **settings: object) -> Lineage:
            path = plant(tmp_path / "twin.duckdb", parents)
            if request.param == "duckdb":
                return serve(closing, warehouse_url=f"duckdb://{path}", **settings)
            url = closing.enter_context(stand_in_url(path))
            return serve(closing, warehouse_url=url, ancestor_walk=request.param, **settings)

        yield start_process


def serve(closing: ExitStack, **settings: object) -> Lineage:
    """Build and start the process as `__main__` does, on port 0."""
    given = Settings.model_validate({"listen": "127.0.0.1:0", **settings})
    process: Process = build(given)
    closing.enter_context(process.closing)
    process.server.start()
    closing.callback(process.server.stop, 0)
    channel = closing.enter_context(open_channel(f"127.0.0.1:{process.server.port}", "lineage"))
    return Lineage(pb_grpc.LineageServiceStub(channel), process.server.port, given.statement_log)
