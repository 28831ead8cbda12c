"""Several frames and manifests in one statement, and tables that are read as slowly as their reader likes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_cache.memory_readings import SystemReadings
from sluice_rpc.errors import InvalidArgument
from sluice_rpc.ports import FakeClock

from tests.polling import poll_until
from tests.unit.cache.driver import NOW, Cache, derived, frame_source, manifest_source, running, sliced

LOTS = pa.table({"lot": ["a", "b", "c"], "product": ["p", "q", "p"]})
HOLDS = pa.table({"lot": ["a", "a", "c"], "qty": pa.array([1, 2, 3], pa.int64())})
REJECTS = pa.table({"lot": ["a", "c", "c"], "scrap": pa.array([10, 20, 30], pa.int64())})


@pytest.fixture
def joined(cache: Cache) -> list[sql_pb.SqlSource]:
    """A frame and two manifests that bring three relations."""
    cache.put("lots-1", LOTS)
    cache.put("holds-1", HOLDS)
    cache.put("rejects-1", REJECTS)
    most = {"most": bind_pb2.BindValue(int64_value=2), "same": bind_pb2.BindValue(int64_value=7)}
    holds = [sliced("held", pb.FrameSlice(frame_id="holds-1"), clip="qty <= $most")]
    cache.put_manifest(cache.manifest("hold-manifest", holds, binds=most))
    rejects = [
        sliced("raw", pb.FrameSlice(frame_id="rejects-1")),
        derived("rejected", "select lot, sum(scrap) as scrap from raw where scrap > $most group by lot order by lot"),
    ]
    most = {"most": bind_pb2.BindValue(int64_value=15), "same": bind_pb2.BindValue(int64_value=7)}
    cache.put_manifest(cache.manifest("reject-manifest", rejects, binds=most))
    return [frame_source("lots", "lots-1"), manifest_source("hold-manifest"), manifest_source("reject-manifest")]


def test_a_statement_joins_a_frame_and_two_manifests_each_with_its_own_values(
    cache: Cache, joined: list[sql_pb.SqlSource]
) -> None:
    sql = """
        select lots.lot, sum(held.qty) as qty, max(rejected.scrap) as scrap
        from lots left join held using (lot) left join rejected using (lot) group by lots.lot order by lots.lot
    """
    table = cache.one(joined, sql)
    assert table.to_pydict() == {"lot": ["a", "b", "c"], "qty": [3, None, None], "scrap": [None, None, 50]}


def test_a_value_that_both_manifests_bind_alike_is_bound(cache: Cache, joined: list[sql_pb.SqlSource]) -> None:
    assert cache.one(joined, "select $same as same")["same"].to_pylist() == [7]


def test_a_value_that_two_manifests_bind_differently_is_refused_by_name(
    cache: Cache, joined: list[sql_pb.SqlSource]
) -> None:
    with pytest.raises(InvalidArgument, match=r"\$most is not bound, or by two manifests to different values"):
        cache.one(joined, "select $most as most")


def test_a_value_that_the_statement_binds_itself_is_not_disputed(cache: Cache, joined: list[sql_pb.SqlSource]) -> None:
    bound = bind_pb2.BindValue(int64_value=1)
    assert cache.one(joined, "select $most as most", most=bound)["most"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        ([frame_source("held", "lots-1"), manifest_source("hold-manifest")], "held"),
        ([frame_source("raw", "lots-1"), manifest_source("reject-manifest")], "raw"),
        ([frame_source("x", "lots-1"), frame_source("x", "holds-1")], "x"),
        ([manifest_source("hold-manifest"), manifest_source("hold-manifest")], "held"),
    ],
)
@pytest.mark.usefixtures("joined")
def test_two_sources_of_one_name_are_refused_by_it(cache: Cache, sources: list[sql_pb.SqlSource], name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"two sources are named '{name}'"):
        cache.one(sources, "select 1")


@pytest.mark.parametrize("sql", ["select n, t from rows", "select n, t || '' as t from rows"], ids=["inside", "apart"])
def test_a_slow_reader_does_not_make_the_cache_hold_the_table(tmp_path: Path, sql: str) -> None:
    rows = pa.table({"n": pa.array(range(2_000_000), pa.int64()), "t": pa.array(["x" * 100] * 2_000_000)})
    with running(tmp_path / "cache", FakeClock(NOW), result_max_bytes=0) as cache:
        cache.put("rows-1", rows)
        request = sql_pb.RunQueryRequest(
            sources=[frame_source("rows", "rows-1")], statements=[sql_pb.SqlStatement(sql=sql)]
        )
        before = anonymous_bytes()
        responses = cache.sql.RunQuery(request, timeout=60)
        received = sum(len(next(responses).chunk.ipc) for _ in range(20))
        seen: list[int] = []

        def settled() -> bool:
            seen.append(anonymous_bytes())
            return len(seen) > 40

        poll_until(settled, 30.0, "enough readings")
        responses.cancel()
    # The table has 240 MB; a few batches of it, and what gRPC sends ahead, are under way.
    assert received < 25 << 20
    assert max(seen) - before < 120 << 20


def anonymous_bytes() -> int:
    """Return the memory of this process, cache included, that is nobody's file."""
    (line,) = [line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "RssAnon" in line]
    return int(line.split()[1]) << 10


def test_the_machine_tells_the_memory_that_these_tests_measure() -> None:
    assert SystemReadings().read().rss_bytes >= anonymous_bytes()
