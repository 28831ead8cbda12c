"""The anchor of frame transfer, as a process: a bare Flight server that answers DoGet with one mapped table.

Run as `python -m bench.flight_server ROW_COUNT`; prints its port. The ticket is the codec, at the level that is ours;
empty for none.
"""

from __future__ import annotations

import sys

import pyarrow as pa
from pyarrow import flight
from sluice_rpc import arrow

from bench.made_holds import made_holds


class TableServer(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types for Flight
    """Serves one table."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._table = table

    def do_get(self, context: object, ticket: flight.Ticket) -> flight.RecordBatchStream:
        codec: arrow.Codec | None = "zstd" if ticket.ticket else None
        return flight.RecordBatchStream(self._table, options=arrow.write_options(codec))


if __name__ == "__main__":
    with TableServer(made_holds(int(sys.argv[1]))) as server:
        print(server.port, flush=True)
        server.serve()
