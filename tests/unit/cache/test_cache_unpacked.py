"""A spooled frame is read from a mapped copy after its first question; the copy is never more than a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import FakeClock

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source, running

TABLE = pa.table(
    {
        "n": pa.array(range(200_000), pa.int64()),
        "held": pa.array(range(200_000), pa.timestamp("s")),
        "reason": pa.array(["x", "y", None, "z"] * 50_000).dictionary_encode(),
    }
)
SQL = "select reason, sum(n) as n, max(held) as latest from f where n > $least group by reason order by reason"


def asked(cache: Cache, least: int) -> pa.Table:
    return cache.one([frame_source("f", "frame-1")], SQL.replace("$least", str(least)))


def unpacked(folder: Path) -> list[Path]:
    return [path for path in (folder / "cache" / "unpacked").iterdir() if path.suffix == ".arrows"]


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"spill_row_count": 100_000, "result_max_bytes": 0}


def test_the_mapped_copy_answers_as_the_spool_did(tmp_path: Path, clock: FakeClock, settings: dict[str, Any]) -> None:
    with running(tmp_path / "cache", clock, **settings) as cache:
        cache.put("frame-1", TABLE)
        spooled = asked(cache, 10)
        poll_until(lambda: unpacked(tmp_path), 20.0, "the mapped copy")
        assert asked(cache, 10).equals(spooled)
        apart = cache.one(
            [frame_source("f", "frame-1")],
            "select string_agg(distinct reason, ',' order by reason) as t, count(*) as n from f",
        )
        assert apart.to_pydict() == {"t": ["x,y,z"], "n": [200_000]}


def test_a_mapped_copy_that_was_cut_is_dropped_and_the_spool_answers(
    tmp_path: Path, clock: FakeClock, settings: dict[str, Any]
) -> None:
    with running(tmp_path / "cache", clock, **settings) as cache:
        cache.put("frame-1", TABLE)
        spooled = asked(cache, 10)
        poll_until(lambda: unpacked(tmp_path), 20.0, "the mapped copy")
        (path,) = unpacked(tmp_path)
        path.write_bytes(path.read_bytes()[:100_000])
        assert asked(cache, 10).equals(spooled)


def test_the_mapped_copy_goes_with_its_frame_and_with_the_process(
    tmp_path: Path, clock: FakeClock, settings: dict[str, Any]
) -> None:
    with running(tmp_path / "cache", clock, **settings) as cache:
        for frame_id in ("frame-1", "frame-2"):
            cache.put(frame_id, TABLE)
            cache.one([frame_source("f", frame_id)], "select count(*) as n from f")
        poll_until(lambda: len(unpacked(tmp_path)) == 2, 20.0, "both mapped copies")
        cache.put("frame-1", TABLE.slice(0, 3), version=2)
        poll_until(lambda: len(unpacked(tmp_path)) == 1, 20.0, "the copy's end")
        assert asked(cache, 1)["n"].to_pylist() == [2]
    with running(tmp_path / "cache", clock, **settings) as again:
        assert unpacked(tmp_path) == []
        with pytest.raises(NotFound):
            again.one([frame_source("f", "frame-9")], "select count(*) as n from f")


def test_no_more_disk_is_taken_than_may_be(tmp_path: Path, clock: FakeClock, settings: dict[str, Any]) -> None:
    with running(tmp_path / "cache", clock, **settings, unpacked_max_bytes=TABLE.nbytes * 3 // 2) as cache:
        for number in (1, 2):
            cache.put(f"frame-{number}", TABLE)
            cache.one([frame_source("f", f"frame-{number}")], "select count(*) as n from f")
            poll_until(lambda n=number: any(f"frame-{n}." in path.name for path in unpacked(tmp_path)), 20.0, "it")  # type: ignore[misc]
        poll_until(lambda: len(unpacked(tmp_path)) == 1, 20.0, "room")
        assert asked(cache, 10).num_rows == 4
