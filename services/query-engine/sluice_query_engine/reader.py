"""Answers from the cache: views, options, exports and stored tables of a query; the warehouse is never asked here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import Internal, InvalidParameter
from sluice_rpc.ports import Clock

from sluice_query_engine import export, views
from sluice_query_engine.cache import FrameCache
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import BindPython, Dataset
from sluice_query_engine.errors import QueryNotReady
from sluice_query_engine.execution.chunk_rows import stored_schema
from sluice_query_engine.execution.composer import main_count_sql, single_count
from sluice_query_engine.execution.coordinator import Coordinator
from sluice_query_engine.execution.manifest import bind_value
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import instant_of
from sluice_query_engine.violations import one_of, shortened, shown

MAX_VIEW_ROW_COUNT: Final = 100_000
"""Rows of one view that is not an export; a view is an answer for people."""
_VERSION_ATTEMPT_COUNT: Final = 4
"""How often an answer is begun again because the query's manifest was replaced meanwhile."""

_Answer = TypeVar("_Answer")


@dataclass
class Answered:
    """The table one statement yielded, as pieces of an IPC stream."""

    pieces: list[bytes] = field(default_factory=list)
    tier: int = table_pb2.TIER_UNSPECIFIED

    def table(self) -> pa.Table:
        """Return the table."""
        with arrow.decode(self.pieces) as reader:
            return reader.read_all()


@dataclass(frozen=True)
class ViewAnswer:
    """One view: its table, and for paged views which page of how many rows."""

    statement: views.ViewStatement
    answered: Answered
    total_count: int | None


@dataclass(frozen=True)
class ViewOptions:
    """What a caller may say of paged views."""

    page: int = 0
    page_size: int = 0
    sort: str = ""
    descending: bool | None = None
    allow_partial: bool = False


@dataclass(frozen=True)
class Streamed:
    """A table that may be large: its receipt, and the pieces of its IPC stream to come."""

    receipt: table_pb2.Receipt
    pieces: Iterator[bytes]


class Reader:
    """Reads queries that have a manifest.

    Args:
        catalog: datasets.
        coordinator: knows which manifest answers a query.
        cache: runs the statements.
        clock: tells the age of snapshots.
    """

    def __init__(self, catalog: Catalog, coordinator: Coordinator, cache: FrameCache, clock: Clock) -> None:
        self._clock = clock
        self._catalog = catalog
        self._coordinator = coordinator
        self._cache = cache

    def views(
        self,
        query_id: str,
        names: Sequence[str],
        filters: Mapping[str, object],
        options: ViewOptions,
        *,
        dataset: str = "",
        scope: CancelScope,
        deadline_s: float,
    ) -> tuple[table_pb2.Receipt, list[ViewAnswer]]:
        """Return the receipt and each view in the order asked; all statements go to the cache in one call.

        A page beyond the last is answered by the last; only that takes a second call.

        Args:
            dataset: whose query it is to be; empty for any.

        Raises:
            ViewNotFound, InvalidParameter: the request, or the query is another dataset's.
            CacheExpired, QueryNotReady: the query.
        """

        def answer(manifest: frames.Manifest) -> tuple[table_pb2.Receipt, list[ViewAnswer]]:
            composed = views.compose(
                self._dataset(manifest),
                names,
                filters,
                page=options.page,
                page_size=options.page_size,
                sort=options.sort,
                descending=options.descending,
            )
            statements = [statement for view in composed for statement in _with_count(view)]
            answered = self._run(manifest, statements, scope, deadline_s)
            tier = _slowest(answered)
            answers = [_view_answer(view, answered) for view in composed]
            answers = [self._clamped(manifest, answer, scope, deadline_s) for answer in answers]
            return self._receipt(manifest, tier), answers

        return self._of_one_version(query_id, dataset, answer, allow_partial=options.allow_partial)

    def options(
        self,
        query_id: str,
        filters: Mapping[str, object],
        *,
        dataset: str = "",
        scope: CancelScope,
        deadline_s: float,
    ) -> tuple[table_pb2.Receipt, list[tuple[str, pa.Table]]]:
        """Return the receipt and for each filter its values with their rows. Raises as `views` does."""

        def answer(manifest: frames.Manifest) -> tuple[table_pb2.Receipt, list[tuple[str, pa.Table]]]:
            composed = views.options(self._dataset(manifest), filters)
            answered = self._run(manifest, [_statement(item.sql, item.binds) for item in composed], scope, deadline_s)
            tables = [(item.filter, answer.table()) for item, answer in zip(composed, answered, strict=True)]
            return self._receipt(manifest, _slowest(answered)), tables

        return self._of_one_version(query_id, dataset, answer)

    def rows(
        self,
        query_id: str,
        view: str,
        filters: Mapping[str, object],
        options: ViewOptions,
        *,
        dataset: str = "",
        scope: CancelScope,
        deadline_s: float,
    ) -> Streamed:
        """Return every row of a paged view, streamed. Raises as `views` does."""

        def answer(manifest: frames.Manifest) -> Streamed:
            statement = export.rows_statement(self._dataset(manifest), view, filters, options.sort, options.descending)
            return self._streamed(manifest, _statement(statement.sql, statement.binds), scope, deadline_s)

        return self._of_one_version(query_id, dataset, answer)

    def table(self, query_id: str, name: str, *, dataset: str = "", scope: CancelScope, deadline_s: float) -> Streamed:
        """Return one table of the query as it is stored, streamed; no name means the main table.

        Raises:
            InvalidParameter: the query has no such table, or is another dataset's than the one named.
            CacheExpired, QueryNotReady: the query.
        """

        def answer(manifest: frames.Manifest) -> Streamed:
            return self._streamed(manifest, self._whole_table(self._dataset(manifest), name), scope, deadline_s)

        return self._of_one_version(query_id, dataset, answer)

    def _of_one_version(
        self, query_id: str, dataset: str, answer: Callable[[frames.Manifest], _Answer], *, allow_partial: bool = False
    ) -> _Answer:
        """Return an answer whose rows and receipt are of the same manifest, though the query may be run again now.

        Statements name the manifest, not its version, so it is looked at once more after they were begun.
        """
        for _ in range(_VERSION_ATTEMPT_COUNT):
            manifest = self._coordinator.readable(query_id, allow_partial=allow_partial)
            _require_of(manifest, dataset)
            answered = answer(manifest)
            now = self._cache.get_manifest(manifest.manifest_id)
            if now is not None and now.version == manifest.version:
                return answered
        raise QueryNotReady(query_id)

    def _whole_table(self, dataset: Dataset, name: str) -> sql.SqlStatement:
        schemas = {part.name: stored_schema(part) for part in dataset.tables}
        schemas |= {reference.name: reference.schema for reference in dataset.references}
        schemas[dataset.derived.name] = self._catalog.columns(dataset.name)[dataset.derived.name]
        wanted = name or dataset.derived.name
        if wanted not in schemas:
            raise InvalidParameter("table", f"{shown(wanted)} is no table of {dataset.name}; it has {one_of(schemas)}")
        # Both come from the checked dataset folder, never from the caller.
        columns = ", ".join(f'"{column}"' for column in schemas[wanted].names)
        return _statement(f"select {columns} from {wanted}", {})  # noqa: S608

    def _receipt(self, manifest: frames.Manifest, tier: int) -> table_pb2.Receipt:
        """Return what an answer says of itself; a snapshot that missed a refresh is stale."""
        receipt, snapshot = answer_receipt(manifest, tier), self._dataset(manifest).snapshot
        if snapshot is not None:
            age = self._clock.now() - instant_of(receipt.read_time)
            receipt.stale = age.total_seconds() > 2 * snapshot.interval_s
        return receipt

    def _dataset(self, manifest: frames.Manifest) -> Dataset:
        return self._catalog.get(manifest.labels["dataset"])

    def _run(
        self,
        manifest: frames.Manifest,
        statements: Sequence[sql.SqlStatement],
        scope: CancelScope,
        deadline_s: float,
    ) -> list[Answered]:
        answered: list[Answered] = []
        if not statements:
            # The options of a dataset without filters; the cache takes no request without a statement.
            return answered
        request = _request(manifest, statements, MAX_VIEW_ROW_COUNT)
        answers = self._cache.run_query(request, deadline_s=deadline_s)
        with answers as responses, scope.attached(answers.cancel):
            for response in responses:
                match response.WhichOneof("part"):
                    case "header":
                        answered.append(Answered())
                    case "chunk":
                        answered[-1].pieces.append(response.chunk.ipc)
                    case "done":
                        answered[-1].tier = response.done.tier
        if len(answered) != len(statements):
            raise Internal(f"the cache answered {len(answered)} of {len(statements)} statements")
        return answered

    def _clamped(
        self, manifest: frames.Manifest, answer: ViewAnswer, scope: CancelScope, deadline_s: float
    ) -> ViewAnswer:
        if answer.total_count is None:
            return answer
        last = answer.statement.clamped(answer.total_count)
        if last is answer.statement:
            return answer
        answered = self._run(manifest, [_statement(last.sql, last.binds)], scope, deadline_s)
        return ViewAnswer(last, answered[0], answer.total_count)

    def _streamed(
        self, manifest: frames.Manifest, statement: sql.SqlStatement, scope: CancelScope, deadline_s: float
    ) -> Streamed:
        # The receipt comes first and names the tier, so the tables are opened once before the rows are asked for.
        counted = self._run(manifest, [_statement(main_count_sql(self._dataset(manifest)), {})], scope, deadline_s)
        receipt = self._receipt(manifest, _slowest(counted))
        return Streamed(receipt, _begun(self._pieces(manifest, statement, scope, deadline_s)))

    def _pieces(
        self, manifest: frames.Manifest, statement: sql.SqlStatement, scope: CancelScope, deadline_s: float
    ) -> Iterator[bytes]:
        # A negative limit cannot be sent, and 0 is the cache's own limit, which is for answers to people.
        request = _request(manifest, [statement], _ALL_ROWS)
        answers = self._cache.run_query(request, deadline_s=deadline_s)
        with answers as responses, scope.attached(answers.cancel):
            for response in responses:
                if response.WhichOneof("part") == "chunk":
                    yield response.chunk.ipc


def _require_of(manifest: frames.Manifest, dataset: str) -> None:
    """Raise InvalidParameter where a query is another dataset's than the one named: its rows are not that one."""
    of = manifest.labels["dataset"]
    if dataset and dataset != of:
        raise InvalidParameter("query_id", f"is a query of {of}, not of {shortened(dataset)}; ask {of} for it")


_ALL_ROWS: Final = 2**62


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return the same pieces once the first is there: by then the cache has opened the tables of the manifest."""
    return itertools.chain(list(itertools.islice(pieces, 1)), pieces)


def answer_receipt(manifest: frames.Manifest, tier: int) -> table_pb2.Receipt:
    """Return what an answer from the cache says of itself: the query's receipt, no warehouse work, the tier read."""
    receipt = table_pb2.Receipt()
    receipt.CopyFrom(manifest.receipt)
    receipt.warehouse_statement_count = 0
    receipt.warehouse_row_count = 0
    receipt.expires_time.CopyFrom(manifest.keep_until_time)
    receipt.tier = table_pb2.Tier.ValueType(tier)
    return receipt


def _request(
    manifest: frames.Manifest, statements: Sequence[sql.SqlStatement], max_row_count: int
) -> sql.RunQueryRequest:
    source = sql.SqlSource(manifest_id=manifest.manifest_id)
    return sql.RunQueryRequest(sources=[source], statements=statements, max_row_count=max_row_count)


def _statement(text: str, binds: Mapping[str, BindPython]) -> sql.SqlStatement:
    return sql.SqlStatement(sql=text, binds={name: bind_value(value) for name, value in binds.items()})


def _with_count(view: views.ViewStatement) -> list[sql.SqlStatement]:
    rows = _statement(view.sql, view.binds)
    return [rows] if view.count_sql is None else [rows, _statement(view.count_sql, view.count_binds)]


def _view_answer(view: views.ViewStatement, answered: list[Answered]) -> ViewAnswer:
    """Take the answers of one view off the front of the list."""
    rows = answered.pop(0)
    if view.count_sql is None:
        return ViewAnswer(view, rows, None)
    return ViewAnswer(view, rows, single_count(answered.pop(0).pieces))


def _slowest(answered: Sequence[Answered]) -> int:
    return max((answer.tier for answer in answered), default=table_pb2.TIER_UNSPECIFIED)
