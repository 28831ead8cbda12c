"""A table of numbers behind the stand-in, and how tests read it through the Oracle warehouse."""

from __future__ import annotations

import pyarrow as pa
from sluice_twin.oracle_wire import OracleWireServer
from sluice_warehouse.oracle import OracleWarehouse
from sluice_warehouse.oracle_reading import OracleReading
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.oracle_rig import TAG

ROW_COUNT = 50_000
NUMBERS = parse("numbers", "select N as n from DWH.NUMBERS")
NUMBERS_SCHEMA = parse_schema({"n": "int64"})
# 50,000^3 pairs: no machine finishes it, and it yields no row before it is done.
ENDLESS = parse(
    "endless",
    "select count(*) as n from DWH.NUMBERS a, DWH.NUMBERS b, DWH.NUMBERS c"
    " where mod(a.N + b.N * c.N, 1000003) = 1000004",
)


def numbers_server() -> OracleWireServer:
    """Return a stand-in with the table, not yet serving."""
    return OracleWireServer(None, tables={"NUMBERS": pa.table({"N": pa.array(range(ROW_COUNT), pa.int64())})})


def numbers(warehouse: OracleWarehouse, deadline_s: float = 20) -> OracleReading:
    return warehouse.open(NUMBERS, {}, schema=NUMBERS_SCHEMA, deadline_s=deadline_s, tag=TAG)


def pooled(warehouse: OracleWarehouse, deadline_s: float = 20) -> OracleReading:
    return warehouse.open_pooled(NUMBERS, {}, schema=NUMBERS_SCHEMA, deadline_s=deadline_s, tag=TAG)


def endless(warehouse: OracleWarehouse, deadline_s: float = 60) -> OracleReading:
    return warehouse.open(ENDLESS, {}, schema=NUMBERS_SCHEMA, deadline_s=deadline_s, tag=TAG)


def drained(reading: OracleReading) -> int:
    with reading:
        return sum(batch.num_rows for batch in reading)


def idle(server: OracleWireServer) -> bool:
    return server.statements_in_flight == 0
