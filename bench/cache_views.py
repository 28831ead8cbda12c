"""(e) Four views on 1 M and on 10 M rows through gRPC against bare DuckDB on the same Arrow, with as many threads.

Asked of a frame as it was put, and of a derived table, which is what the product's views read.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb

from bench import hold_statements
from bench.cache_process import CacheProcess, cache_process, keep_until
from bench.hold_statements import Asked
from bench.made_holds import DICTIONARY_COLUMNS, made_holds
from bench.measure import Comparison, alternate, await_idle

ROUNDS = {1_000_000: 11, 10_000_000: 5}
AT_MOST = 1.3
FRAME_ID, MANIFEST_ID = "bench-views", "bench-manifest"


def run() -> tuple[list[Comparison], list[str]]:
    """Return the comparisons and where each source was read."""
    compared: list[Comparison] = []
    lines: list[str] = []
    for row_count in ROUNDS:
        table = made_holds(row_count)
        with tempfile.TemporaryDirectory() as folder, cache_process(Path(folder)) as cache:
            cache.put(FRAME_ID, table)
            compared += [
                _compare(cache, f"four views, {row_count:,} rows, {name}", source, table, row_count)
                for name, source in (("frame", _frame()), ("derived table", _derived(cache, table.schema)))
            ]
            lines.append(f"{row_count:,} rows were read from {cache.tier_of(FRAME_ID)}")
    return compared, lines


def _frame() -> sql_pb.SqlSource:
    return sql_pb.SqlSource(frame=sql_pb.NamedFrame(name="holds", frame_id=FRAME_ID))


def _derived(cache: CacheProcess, schema: pa.Schema) -> sql_pb.SqlSource:
    slices = pb.FrameSlices(frames=[pb.FrameSlice(frame_id=FRAME_ID)])
    every = f"select {', '.join(schema.names)} from rows order by hold_time, history_id"
    derived = pb.DerivedTable(sql=every, dictionary_columns=DICTIONARY_COLUMNS)
    tables = [pb.ManifestTable(name="rows", slices=slices), pb.ManifestTable(name="holds", derived=derived)]
    manifest = pb.Manifest(manifest_id=MANIFEST_ID, version=1, tables=tables)
    manifest.keep_until_time.FromDatetime(keep_until())
    cache.frames.PutManifest(pb.PutManifestRequest(manifest=manifest))
    return sql_pb.SqlSource(manifest_id=MANIFEST_ID)


def _compare(cache: CacheProcess, name: str, source: sql_pb.SqlSource, table: pa.Table, row_count: int) -> Comparison:
    rounds = ROUNDS[row_count]

    def ours(number: int) -> list[pa.Table]:
        return cache.run([source], [asked.to_proto() for asked in hold_statements.click(number)])

    with duckdb.connect() as bare:
        bare.execute("set threads = 2")
        bare.register("holds", table)

        def anchor(number: int) -> list[pa.Table]:
            return [asked.on(bare) for asked in hold_statements.click(number)]

        # A number that no round uses; what the first question starts behind its answer is waited for.
        require_equal(ours(rounds + 1), anchor(rounds + 1))
        await_idle([cache.pid])
        return Comparison(name, *alternate(ours, anchor, rounds=rounds), at_most=AT_MOST)


def require_equal(ours: list[pa.Table], bare: list[pa.Table]) -> None:
    """Raise where the answers are not the same rows in the same order.

    Raises:
        RuntimeError: they are not.
    """
    if [table.to_pylist() for table in ours] != [table.to_pylist() for table in bare]:
        raise RuntimeError("the cache does not answer what bare DuckDB answers")


def one_view(name: str, number: int) -> Asked:
    """Return one view's statement for one click."""
    (asked,) = hold_statements.click(number, [name])
    return asked
