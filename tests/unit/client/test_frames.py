"""DataFrames without a cache process to keep them, and the ids they would have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pandas as pd
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_client.frames import FrameStore, chunk_key, frame_id_of
from sluice_client.ports import take_free


@pytest.fixture
def nobody() -> Iterator[FrameStore]:
    """A store whose cache process is not there."""
    with FrameStore(f"127.0.0.1:{take_free(1)[0]}", timeout_s=2.0) as store:
        yield store


class Garbling(pb_grpc.FrameServiceServicer):
    """A cache whose frames are no IPC streams."""

    def GetFrame(self, request: pb.GetFrameRequest, context: grpc.ServicerContext) -> Iterator[pb.GetFrameResponse]:
        yield pb.GetFrameResponse(frame=pb.Frame(frame_id=request.frame_id))
        yield pb.GetFrameResponse(chunk=table_pb2.TableChunk(ipc=b"no rows of any kind, and no schema either"))


class Keeping(pb_grpc.FrameServiceServicer):
    """A cache that keeps one frame and sends back what it got."""

    def __init__(self) -> None:
        self._pieces: list[table_pb2.TableChunk] = []

    def PutFrame(
        self, request_iterator: Iterator[pb.PutFrameRequest], context: grpc.ServicerContext
    ) -> pb.PutFrameResponse:
        self._pieces = [part.chunk for part in request_iterator if part.WhichOneof("part") == "chunk"]
        return pb.PutFrameResponse(stored=True)

    def GetFrame(self, request: pb.GetFrameRequest, context: grpc.ServicerContext) -> Iterator[pb.GetFrameResponse]:
        yield pb.GetFrameResponse(frame=pb.Frame(frame_id=request.frame_id))
        for piece in self._pieces:
            yield pb.GetFrameResponse(chunk=piece)


@contextmanager
def asking(cache: pb_grpc.FrameServiceServicer) -> Iterator[FrameStore]:
    """Run a cache of one thread and give a store that asks it."""
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        pb_grpc.add_FrameServiceServicer_to_server(cache, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with FrameStore(f"127.0.0.1:{port}", timeout_s=60.0) as store:
            yield store
        server.stop(None).wait()


@pytest.fixture
def garbled() -> Iterator[FrameStore]:
    """A store whose cache process sends bytes that nobody can read."""
    with asking(Garbling()) as store:  # type: ignore[abstract]  # nothing else is asked
        yield store


@pytest.mark.parametrize("rows", [[], [(1, 2)]])
def test_categories_that_could_not_be_read_back_are_not_stored(rows: list[tuple[int, int]]) -> None:
    df = pd.DataFrame({"place": pd.Categorical(rows, categories=[(1, 2), (3, 4)])})
    with asking(Keeping()) as store:  # type: ignore[abstract]  # nothing else is asked
        assert not store.store_df("tuples", df)
        assert store.load_df("tuples") is None


@pytest.mark.parametrize("categories", [["low", "never", "high"], [3, 1, 2], []])
def test_categoricals_without_a_row_keep_their_categories_and_their_order(categories: list[str] | list[int]) -> None:
    grade = pd.CategoricalDtype(categories, ordered=True)
    df = pd.DataFrame({"lot": pd.Series([], dtype="int64"), "grade": pd.Series([], dtype=grade)})
    with asking(Keeping()) as store:  # type: ignore[abstract]  # nothing else is asked
        assert store.store_df("none", df)
        read = store.load_df("none")
    assert read is not None
    pd.testing.assert_frame_equal(read, df)
    assert read["grade"].cat.categories.tolist() == categories


def test_loading_bytes_that_nobody_can_read_is_none(garbled: FrameStore) -> None:
    assert garbled.load_df("key") is None


def test_storing_without_a_cache_is_false(nobody: FrameStore) -> None:
    assert nobody.store_df("key", pd.DataFrame({"v": [1]})) is False


def test_loading_without_a_cache_is_none(nobody: FrameStore) -> None:
    assert nobody.load_df("key") is None


def test_no_chunk_exists_without_a_cache(nobody: FrameStore) -> None:
    assert nobody.chunk_exists("hold", "0123456789abcdef", 0) is False


def test_the_names_of_the_earlier_module_mean_the_same(nobody: FrameStore) -> None:
    assert nobody.redis_load_chunk("hold", "0123456789abcdef", 0) is None


def test_a_ttl_below_a_second_is_refused(nobody: FrameStore) -> None:
    with pytest.raises(ValueError, match="at least 1 s"):
        nobody.store_df("key", pd.DataFrame({"v": [1]}), ttl=0)


@pytest.mark.parametrize("key", ["", "x", "批次:1", "a b/../c", "k" * 5000])
def test_any_text_makes_a_legal_frame_id(key: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{3,127}", frame_id_of(key))


def test_a_chunk_key_reads_as_operators_know_it() -> None:
    assert chunk_key("hold", "0123456789abcdef", 3) == "batch:hold:0123456789abcdef:chunk:3"
