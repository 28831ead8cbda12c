"""Table pieces past protobuf: the bytes are protobuf's own, and no other message is taken for a piece."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice.query.v1 import query_service_pb2 as query_pb
from sluice.table.v1 import table_pb2
from sluice_rpc import pieces
from sluice_rpc.interceptors import ServerInterceptor
from sluice_rpc.telemetry import RpcMetrics


@dataclass
class Details:
    """What a server says of a call before it begins."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


SIZES = [1, 127, 128, 16_383, 16_384, 1 << 20, (1 << 21) - 1]


@pytest.mark.parametrize("size", SIZES)
def test_a_piece_stands_on_the_wire_as_protobuf_writes_it(size: int) -> None:
    ipc = bytes(size)
    expected = pb.GetFrameResponse(chunk=table_pb2.TableChunk(ipc=ipc)).SerializeToString()
    assert pieces.wire_of(memoryview(ipc)) == expected


@pytest.mark.parametrize("size", SIZES)
def test_a_piece_is_read_as_it_was_written(size: int) -> None:
    ipc = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    piece = pieces.piece_of(pieces.wire_of(ipc))
    assert piece is not None
    assert bytes(piece) == ipc


@pytest.mark.parametrize("message", [pb.GetFrameResponse, sql_pb.RunQueryResponse, pb.PutFrameRequest])
def test_the_field_of_the_piece_is_what_the_protos_say(message: type[pb.GetFrameResponse]) -> None:
    assert message.DESCRIPTOR.fields_by_name["chunk"].number == pieces.CHUNK_FIELD


def test_a_field_of_another_number_is_a_piece_of_its_message() -> None:
    field = query_pb.ReadFrameResponse.DESCRIPTOR.fields_by_name["chunk"].number
    message = query_pb.ReadFrameResponse.FromString(pieces.wire_of(b"rows", field=field))
    assert message.chunk.ipc == b"rows"


@pytest.mark.parametrize(
    "message",
    [
        pb.GetFrameResponse(frame=pb.Frame(frame_id="frame-1")),
        pb.GetFrameResponse(chunk=table_pb2.TableChunk()),
        pb.GetFrameResponse(),
    ],
)
def test_what_holds_no_piece_is_left_to_protobuf(message: pb.GetFrameResponse) -> None:
    assert pieces.deserializer(pb.GetFrameResponse.FromString)(message.SerializeToString()) == message


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda rest: b"\x12" + rest))
def test_whatever_is_taken_for_a_piece_is_one_to_protobuf(wire: bytes) -> None:
    piece = pieces.piece_of(wire)
    if piece is not None:
        assert pb.GetFrameResponse.FromString(wire).chunk.ipc == piece


def test_messages_are_serialized_and_bytes_pass() -> None:
    serialize = pieces.serializer(pb.GetFrameResponse.SerializeToString)
    assert serialize is not None
    message = pb.GetFrameResponse(frame=pb.Frame(frame_id="frame-1"))
    assert (serialize(b"as it is"), serialize(message)) == (b"as it is", message.SerializeToString())


@pytest.mark.parametrize(("method", "kind"), [("/s/Put", memoryview), ("/s/Other", pb.PutFrameRequest)])
def test_only_methods_that_take_pieces_get_them(method: str, kind: type) -> None:
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_unary_rpc_method_handler(
        lambda requests, context: None, request_deserializer=pb.PutFrameRequest.FromString
    )
    metrics = RpcMetrics("small", CollectorRegistry())
    details = Details(method)
    wrapped = ServerInterceptor(metrics, {"/s/Put"}).intercept_service(lambda _: handler, details)
    assert wrapped is not None
    assert wrapped.request_deserializer is not None
    assert isinstance(wrapped.request_deserializer(pieces.wire_of(b"rows")), kind)


def test_items_made_ahead_come_in_their_order() -> None:
    assert list(pieces.ahead(iter(range(20)), count=3)) == list(range(20))


def test_no_more_items_are_made_ahead_than_was_said() -> None:
    numbers = itertools.count()
    coming = pieces.ahead(numbers, count=2)
    assert next(coming) == 0
    coming.close()
    assert next(numbers) <= 3


def test_what_making_an_item_raises_comes_in_the_items_place() -> None:
    def broken() -> Iterator[bytes]:
        yield b"whole"
        raise ValueError("broken")

    coming = pieces.ahead(broken(), count=4)
    assert next(coming) == b"whole"
    with pytest.raises(ValueError, match="broken"):
        next(coming)


def test_whoever_leaves_early_leaves_no_thread() -> None:
    coming = pieces.ahead(itertools.repeat(b"rows"), count=2)
    next(coming)
    coming.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
