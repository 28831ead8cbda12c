"""What hostile statements must come to, from a corpus that grows; and that none of them leaves a trace."""

from __future__ import annotations

import hashlib
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import NOW, Cache, frame_source, running

SECRET = "only the canary says this"

HOLDS = pa.table({"lot": ["a", "b"], "reason": ["x", "y"], "qty": [1, 2]})
PARTS = pa.table({"lot": ["a", "c"], "part": ["p", "q"]})
WIDE = pa.table({"n": pa.array(range(50_000), pa.int64())})

TIMEOUT_S = 0.4
GRACE_S = 8.0
"""Starting a process anew, on a machine that is busy with other tests; what is not stopped runs for hours."""

REASONS = {
    "refused": {"INVALID_PARAMETER"},
    "stopped": {"QUERY_TIMEOUT", "MEMORY_PRESSURE"},
    "limited": {"RESULT_TOO_LARGE"},
    "answered": {"answered"},
}

_GROUPS = tomllib.loads((Path(__file__).parent / "hostile_statements.toml").read_text(encoding="utf-8"))["group"]
CORPUS = [(group["outcome"], sql) for group in _GROUPS for sql in group["statements"]]


@dataclass(frozen=True)
class Ground:
    """A cache that hostile statements meet, and what must stay as it is."""

    cache: Cache
    root: Path
    names: dict[str, str]
    untouched: list[tuple[object, ...]] = field(default_factory=list)

    def state(self) -> tuple[object, ...]:
        """Return all that a statement could have changed."""
        assert self.cache.process is not None
        connection = self.cache.process.database.connection()
        settings = connection.execute("select name, value from duckdb_settings() order by name").fetchall()
        tables = connection.execute("select view_name from duckdb_views() where not internal").fetchall()
        types = connection.execute("select count(*) from duckdb_types()").fetchall()
        connection.close()
        return files_of(self.root), settings, tables, types, sorted(path.name for path in Path.cwd().iterdir())

    def outcome(self, sql: str) -> str:
        """Run a statement within tight limits and return what it came to; answers must not hold the canary's secret."""
        statement = sql_pb.SqlStatement(sql=sql, binds={"x": bind_pb2.BindValue(string_value=self.names["canary"])})
        sources = [frame_source("holds", "holds-1"), frame_source("parts", "parts-1"), frame_source("wide", "wide-1")]
        request = sql_pb.RunQueryRequest(
            sources=sources,
            statements=[statement],
            max_row_count=100_000,
            max_result_bytes=4 << 20,
            timeout_s=TIMEOUT_S,
        )
        try:
            answered = b"".join(
                response.SerializeToString() for response in self.cache.sql.RunQuery(request, timeout=60)
            )
        except ServiceError as error:
            assert SECRET not in str(error)
            return error.reason
        assert SECRET.encode() not in answered
        return "answered"


def files_of(root: Path) -> list[tuple[str, str]]:
    """Return the files under a folder and their digests, without those that statements spill to."""
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and "tmp" not in path.relative_to(root).parts]
    return [(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    root = tmp_path_factory.mktemp("ground")
    canary = root / "canary.csv"
    canary.write_text(f"lot\n{SECRET}\n", encoding="utf-8")
    with running(root / "cache", FakeClock(NOW), apart_memory_bytes=128 << 20, spill_row_count=100_000) as cache:
        cache.put("holds-1", HOLDS)
        cache.put("parts-1", PARTS)
        cache.put("wide-1", WIDE)
        cache.put("secret-1", pa.table({"lot": [SECRET]}))
        cache.put("secret-2", pa.table({"lot": [SECRET] * 100_001}))
        names = {
            "canary": str(canary),
            "hot": str(next((root / "cache" / "hot").glob("secret-1*"))),
            "spool": str(next((root / "cache" / "spool").rglob("secret-2*"))),
            "out": str(root / "out"),
        }
        ground = Ground(cache, root, names)
        ground.untouched.append(ground.state())
        yield ground


def test_the_corpus_says_of_at_least_three_hundred_statements_what_must_happen() -> None:
    assert len({sql for _, sql in CORPUS}) == len(CORPUS) >= 300


@pytest.mark.parametrize(("outcome", "sql"), CORPUS)
def test_a_hostile_statement_comes_to_what_the_corpus_says_and_changes_nothing(
    ground: Ground, outcome: str, sql: str
) -> None:
    for name, value in ground.names.items():
        sql = sql.replace(f"{{{name}}}", value)
    started = time.monotonic()
    assert ground.outcome(sql) in REASONS[outcome]
    assert time.monotonic() - started < TIMEOUT_S + GRACE_S
    assert [ground.state()] == ground.untouched


def test_the_cache_still_answers_after_all_of_them(ground: Ground) -> None:
    table = ground.cache.one([frame_source("h", "holds-1")], "select sum(qty) as qty from h")
    assert table["qty"].to_pylist() == [3]
