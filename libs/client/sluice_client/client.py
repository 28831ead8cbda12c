"""The suite from Python, over gRPC: start a query, wait for it, read its views and rows as Arrow or pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import pandas as pd
import pyarrow as pa
from google.protobuf import struct_pb2
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.errors import Cancelled, Internal, OutOfRange, QueryTimeout, ServiceError, Unavailable

DEFAULT_TARGET = "127.0.0.1:7101"
"""Where the query engine of a demo listens."""

Parameters = Mapping[str, Any]

_RUNNING = pb.QUERY_STATE_RUNNING
_UNSUCCESSFUL = (pb.QUERY_STATE_FAILED, pb.QUERY_STATE_CANCELLED)


@dataclass(frozen=True)
class View:
    """The answer of one view."""

    name: str
    """View name."""
    table: pa.Table
    """Its rows, in the view's order."""
    receipt: table_pb2.Receipt
    """What the answer says of itself; `failed_ranges` names what is missing."""
    page: pb.Page | None
    """Which page of how many; None for views that are not paged."""

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a DataFrame with a RangeIndex."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


class _RowsPart(Protocol):
    """A message of ExportRows or of ReadFrame."""

    @property
    def receipt(self) -> table_pb2.Receipt: ...

    @property
    def chunk(self) -> table_pb2.TableChunk: ...


class SluiceClient:
    """A connection to the query engine; leaving the context closes it. Calls raise `sluice_rpc.errors.ServiceError`s.

    Args:
        target: `host:port` of the query engine.
        timeout_s: deadline of calls that answer from what is there.
    """

    def __init__(self, target: str = DEFAULT_TARGET, *, timeout_s: float = 60.0) -> None:
        self._channel = open_channel(target, "query-engine", timeout_s=timeout_s)
        self._stub = pb_grpc.QueryServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def datasets(self) -> list[pb.Dataset]:
        """Return the definitions of all datasets, in name order."""
        found: list[pb.Dataset] = []
        page_token = ""
        while True:
            page = self._stub.ListDatasets(pb.ListDatasetsRequest(page_token=page_token))
            found += page.datasets
            page_token = page.next_page_token
            if not page_token:
                return found

    def start(self, dataset: str, parameters: Parameters, *, no_cache: bool = False) -> pb.Query:
        """Start a query, or join the one that runs under the same id, and return how it stands.

        It lives while somebody watches it, so follow up with `wait`.

        Args:
            dataset: dataset name.
            parameters: primary parameters by name: text, numbers, booleans, lists; dates as ISO text.
            no_cache: read everything again.
        """
        request = pb.StartQueryRequest(dataset=dataset, parameters=_struct(parameters), no_cache=no_cache)
        return self._stub.StartQuery(request).query

    def wait(
        self, query_id: str, *, timeout_s: float = 300.0, on_change: Callable[[pb.Query], None] | None = None
    ) -> pb.Query:
        """Return the query once it has ended with an answer, whole or partial.

        Args:
            query_id: as `start` returned it.
            timeout_s: how long to wait, in seconds.
            on_change: called with the query whenever it changes.

        Raises:
            ServiceError: the query failed or was cancelled; its reason is that of the most severe chunk.
        """
        query: pb.Query | None = None
        for change in self._stub.WatchQuery(pb.WatchQueryRequest(query_id=query_id), timeout=timeout_s):
            query = change.query
            if on_change is not None:
                on_change(query)
        if query is None or query.state == _RUNNING:
            raise Unavailable("the query engine stopped watching the query before it ended", query_id=query_id)
        if query.state in _UNSUCCESSFUL:
            raise _failure(query)
        return query

    def query(
        self, dataset: str, parameters: Parameters, *, no_cache: bool = False, timeout_s: float = 300.0
    ) -> pb.Query:
        """Start a query and return it once it has ended with an answer."""
        query = self.start(dataset, parameters, no_cache=no_cache)
        return self.wait(query.query_id, timeout_s=timeout_s)

    def cancel(self, query_id: str) -> pb.Query:
        """Withdraw from a query; it is cancelled when nobody else wants it."""
        return self._stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id)).query

    def read_view(
        self,
        query_id: str,
        view: str,
        *,
        filters: Parameters | None = None,
        page: int = 1,
        page_size: int = 50,
        sort: str = "",
        descending: bool | None = None,
    ) -> View:
        """Return one view of a finished query; never touches the warehouse.

        Args:
            query_id: as `start` returned it.
            view: view name.
            filters: view-time filters by name.
            page: page of a paged view, from 1; past the last it is the last.
            page_size: rows in a page, 1 to 200.
            sort: sort key of a paged view; empty is the view's default.
            descending: direction; None is the sort key's default.
        """
        request = pb.ReadViewRequest(
            query_id=query_id,
            views=[view],
            filters=_struct(filters or {}),
            page=page,
            page_size=page_size,
            sort=sort,
            descending=descending,
        )
        return _view(self._stub.ReadView(request))

    def export_rows(
        self, query_id: str, *, view: str = "", filters: Parameters | None = None
    ) -> tuple[table_pb2.Receipt, pa.RecordBatchReader]:
        """Return the receipt, and a reader over every row of a paged view that pulls rows as it is read.

        Args:
            query_id: as `start` returned it.
            view: a paged view; empty is the dataset's rows.
            filters: view-time filters by name.
        """
        request = pb.ExportRowsRequest(query_id=query_id, view=view, filters=_struct(filters or {}))
        return _receipt_and_rows(self._stub.ExportRows(request))

    def read_frame(self, query_id: str, table: str = "") -> tuple[table_pb2.Receipt, pa.RecordBatchReader]:
        """Return the receipt, and a reader over one table of the query as it is stored.

        Args:
            query_id: as `start` returned it.
            table: table name; empty is the dataset's main table.
        """
        return _receipt_and_rows(self._stub.ReadFrame(pb.ReadFrameRequest(query_id=query_id, table=table)))


def _view(parts: Iterator[pb.ReadViewResponse]) -> View:
    receipt, header, pieces = table_pb2.Receipt(), pb.ViewHeader(), []
    for part in parts:
        match part.WhichOneof("part"):
            case "receipt":
                receipt = part.receipt
            case "header":
                header = part.header
            case "chunk":
                pieces.append(part.chunk.ipc)
    with arrow.decode(pieces) as reader:
        table = reader.read_all()
    return View(header.view, table, receipt, header.page if header.HasField("page") else None)


def _receipt_and_rows(
    parts: Iterator[_RowsPart],
) -> tuple[table_pb2.Receipt, pa.RecordBatchReader]:
    first = next(parts)
    return first.receipt, arrow.decode(part.chunk.ipc for part in parts)


def _struct(values: Parameters) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(values))
    return struct


_FAILURES: Mapping[str, type[ServiceError]] = {
    "CANCELLED": Cancelled,
    "QUERY_TIMEOUT": QueryTimeout,
    "CONTRACT_BROKEN": Internal,
    "WAREHOUSE_ERROR": Internal,
    "INTERNAL": Internal,
    "CHUNK_TOO_LARGE": OutOfRange,
}


def _failure(query: pb.Query) -> ServiceError:
    # What is no fault of the query and not withdrawn is for now: permits, pool, breaker, warehouse, memory.
    kind = _FAILURES.get(query.error_code, Unavailable)
    return kind(query.error_message, reason=query.error_code, query_id=query.query_id)
