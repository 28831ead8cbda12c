"""What a sweep takes and what it leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_cache.files import FolderTaken
from sluice_cache.frames import Frame
from sluice_cache.index import IndexUnavailable, NoIndex
from sluice_cache.sweep import Pace, Sweeper, Swept
from sluice_cache.sweep_lease import FileLease
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import Cache, running

ROWS = pa.table({"n": [1, 2, 3]})
OLD_S = 3600


class UnwillingIndex(NoIndex):
    """An index that does not answer in full."""

    def all_frames(self) -> list[Frame]:
        raise IndexUnavailable("the scan broke off")


def orphan(folder: Path, name: str, age_s: float) -> Path:
    path = folder / name
    path.write_bytes(b"x")
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def sweep(cache: Cache) -> Swept:
    assert cache.process is not None
    return cache.process.sweeper.sweep()


def test_an_expired_frame_is_taken_from_disk_and_catalogue(cache: Cache, clock: FakeClock, tmp_path: Path) -> None:
    cache.put("frame-1", ROWS, keep_s=10)
    cache.put("frame-2", ROWS, keep_s=100)
    clock.advance(11)
    assert sweep(cache).frame_count == 1
    assert [path.name.split(".")[0] for path in (tmp_path / "cache" / "hot").iterdir()] == ["frame-2"]


def test_an_expired_manifest_is_taken(cache: Cache, clock: FakeClock) -> None:
    cache.put("frame-1", ROWS)
    table = pb.ManifestTable(name="rows", slices=pb.FrameSlices(frames=[pb.FrameSlice(frame_id="frame-1")]))
    cache.put_manifest(cache.manifest("man-1", [table]))
    clock.advance(900)
    assert sweep(cache).manifest_count == 1


def test_an_orphan_is_taken_only_past_its_grace(cache: Cache, tmp_path: Path) -> None:
    spool = tmp_path / "cache" / "spool"
    old = orphan(spool, "frame-9.1.00000000.parquet", OLD_S)
    young = orphan(spool, "frame-8.1.00000000.parquet", 1)
    assert sweep(cache).orphan_count == 1
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    "pointer", [b"", b'{"frame_id": "fra', b"[]", b"\xff\x00"], ids=["empty", "cut", "no object", "bytes"]
)
def test_a_file_with_a_damaged_pointer_goes_with_it(cache: Cache, tmp_path: Path, pointer: bytes) -> None:
    spool = tmp_path / "cache" / "spool"
    files = [orphan(spool, f"frame-9.1.00000000.{suffix}", OLD_S) for suffix in ("parquet", "json")]
    files[1].write_bytes(pointer)
    os.utime(files[1], (1, 1))
    assert sweep(cache).orphan_count == 1
    assert [path.exists() for path in files] == [False, False]


def test_a_file_with_the_pointer_of_another_release_stays(cache: Cache, tmp_path: Path) -> None:
    spool = tmp_path / "cache" / "spool"
    files = [orphan(spool, f"frame-9.1.00000000.{suffix}", OLD_S) for suffix in ("parquet", "json")]
    files[1].write_bytes(b'{"release": 9, "frame": {}}')
    assert sweep(cache).orphan_count == 0
    assert [path.exists() for path in files] == [True, True]


def test_a_live_file_is_never_an_orphan(cache: Cache, tmp_path: Path) -> None:
    cache.put("frame-1", ROWS)
    (hot,) = (tmp_path / "cache" / "hot").iterdir()
    os.utime(hot, (1, 1))
    sweep(cache)
    assert cache.get("frame-1").equals(ROWS)


def test_orphans_stay_when_the_index_does_not_answer_in_full(cache: Cache, tmp_path: Path) -> None:
    spool = tmp_path / "cache" / "spool"
    old = orphan(spool, "frame-9.1.00000000.parquet", OLD_S)
    process = cache.process
    assert process is not None
    hot = tmp_path / "cache" / "hot"
    sweeper = Sweeper(process.store, process.manifests, UnwillingIndex(), hot, FileLease(spool), pace=Pace(60.0, 600.0))
    assert sweeper.sweep() == Swept(complete=False)
    assert old.exists()


def test_what_a_dead_process_was_writing_is_taken_at_start(tmp_path: Path, clock: FakeClock) -> None:
    hot = tmp_path / "cache" / "hot"
    hot.mkdir(parents=True)
    part = orphan(hot, "frame-1.1.00000000.arrows.part", 0)
    with running(tmp_path / "cache", clock):
        assert not part.exists()


def test_a_second_process_on_the_same_folder_does_not_start(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock), pytest.raises(FolderTaken), running(tmp_path / "cache", clock):
        pass
