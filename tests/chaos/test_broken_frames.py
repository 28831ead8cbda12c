"""Broken Arrow bytes against a real cache process: a typed refusal or a frame that reads well, and it lives on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceError

from tests import broken_ipc
from tests.cache_process import Started, started
from tests.unit.cache.driver import frame_source

FRAME_ID = "fuzzed"
ACCEPTED = ""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A process of its own, so that a crash is seen as one."""
    with started(tmp_path_factory.mktemp("fuzz"), log_level="error", duckdb_threads="1") as process:
        yield process


def reason_of(call: Callable[[], object]) -> str:
    """Return the reason a call fails for, empty when it does not."""
    try:
        call()
    except ServiceError as error:
        return error.reason
    return ACCEPTED


def put(running: Started, stream: bytes, row_count: int) -> str:
    """Put bytes as a frame and return the reason of the refusal."""

    def requests() -> Iterator[pb.PutFrameRequest]:
        yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id=FRAME_ID))
        if stream:
            yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=stream))
        yield pb.PutFrameRequest(trailer=running.cache.trailer(row_count, {}))

    return reason_of(lambda: running.cache.frames.PutFrame(requests()))


def reads(running: Started) -> set[str]:
    """Read what was put, whole and as text, and return how that went."""
    source = [frame_source("f", FRAME_ID)]
    everything = sql_pb.SqlStatement(sql="select cast(f as varchar) as row_text from f")
    return {
        reason_of(lambda: running.cache.get(FRAME_ID)),
        reason_of(lambda: running.cache.get(FRAME_ID, compression=pb.COMPRESSION_ZSTD)),
        reason_of(lambda: running.cache.run(source, everything)),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(stream=broken_ipc.broken(), row_count=st.sampled_from([broken_ipc.ROW_COUNT, 2 * broken_ipc.ROW_COUNT]))
def test_broken_bytes_are_refused_by_name_or_read_well(running: Started, stream: bytes, row_count: int) -> None:
    refused = put(running, stream, row_count)
    ends = reads(running) if refused == ACCEPTED else {refused}
    running.cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id=FRAME_ID))
    assert ends <= {ACCEPTED, "INVALID_PARAMETER"}
    assert running.process.poll() is None


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_an_instant_that_no_microseconds_hold_is_refused(running: Started, unit: str) -> None:
    times = pa.array([0, 2**62], pa.int64()).cast(pa.timestamp(unit))
    nested = pa.StructArray.from_arrays([times], names=["t"])
    table = pa.table({"nested": nested})
    assert put(running, b"".join(arrow.encode(table.schema, table.to_batches())), 2) == "INVALID_PARAMETER"


@pytest.mark.parametrize("code", [2, -1, 2**31 - 1])
def test_a_dictionary_index_out_of_bounds_is_refused(running: Started, code: int) -> None:
    indices = pa.array([0, code], pa.int32())
    codes = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]), safe=False)
    table = pa.table({"d": codes})
    assert put(running, b"".join(arrow.encode(table.schema, table.to_batches())), 2) == "INVALID_PARAMETER"


def test_a_name_that_is_no_text_is_refused(running: Started) -> None:
    stream = b"".join(arrow.encode(pa.schema([("marked", pa.int64())]), []))
    assert put(running, stream.replace(b"marked", b"m\xee\xffked"), 0) == "INVALID_PARAMETER"
