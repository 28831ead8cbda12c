"""Frames of the cache as Arrow over a channel: put and read, each byte copied once on the way (ADR 0045)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import grpc
import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc import arrow, fixed_texts, pieces

Compression = Literal["none", "zstd"]

_PUT_FRAME = "/sluice.cache.v1.FrameService/PutFrame"
_GET_FRAME = "/sluice.cache.v1.FrameService/GetFrame"
_AHEAD_PIECE_COUNT = 4
"""Two to three batches' worth; more only takes memory."""
_COMPRESSIONS = {"none": pb.COMPRESSION_NONE, "zstd": pb.COMPRESSION_ZSTD}


def read_frame(
    channel: grpc.Channel,
    frame_id: str,
    *,
    columns: Sequence[str] = (),
    offset: int = 0,
    limit: int = 0,
    compression: Compression = "none",
    pool: pa.MemoryPool | None = None,
) -> pa.RecordBatchReader:
    """Return a reader over a frame's rows that pulls them as it is read.

    Args:
        channel: to the cache.
        frame_id: its id.
        columns: those wanted, in the order wanted; none are all.
        offset: first row wanted, from 0.
        limit: most rows wanted; 0 is all.
        compression: of the rows on the way; zstd pays on networks slower than about a gigabit.
        pool: that the rows lie in; Arrow's own unless given.

    Raises:
        ServiceError: CACHE_EXPIRED, INVALID_PARAMETER or what the channel raises; also from the reader.
    """
    call = channel.unary_stream(
        _GET_FRAME,
        request_serializer=pb.GetFrameRequest.SerializeToString,
        response_deserializer=pieces.deserializer(pb.GetFrameResponse.FromString),
    )
    request = pb.GetFrameRequest(
        frame_id=frame_id,
        columns=columns,
        offset=offset,
        limit=limit,
        compression=_COMPRESSIONS[compression],
        packed_texts=True,
    )
    return arrow.decode(_pieces(call(request)), pool)


def put_frame(
    channel: grpc.Channel, header: pb.FrameHeader, table: pa.Table, trailer: pb.FrameTrailer
) -> pb.PutFrameResponse:
    """Put a table as a frame, its rows compressed, and return the frame as it now stands.

    Raises:
        ServiceError: INVALID_PARAMETER, RESULT_TOO_LARGE, MEMORY_PRESSURE or what the channel raises.
    """

    def requests() -> Iterator[pb.PutFrameRequest | bytes]:
        yield pb.PutFrameRequest(header=header)
        schema = fixed_texts.packed_schema(table)
        batches = fixed_texts.packed(table.to_batches(max_chunksize=arrow.BATCH_ROW_COUNT), schema)
        encoded = arrow.encode_parts(schema, batches, "lz4", pieces.BULK_PIECE_BYTES)
        # The next batch is compressed while the one before is sent.
        for parts in pieces.ahead(encoded, count=_AHEAD_PIECE_COUNT):
            yield pieces.wire_of(*parts)
        yield pb.PutFrameRequest(trailer=trailer)

    call = channel.stream_unary(
        _PUT_FRAME,
        request_serializer=pieces.serializer(pb.PutFrameRequest.SerializeToString),
        response_deserializer=pb.PutFrameResponse.FromString,
    )
    response: pb.PutFrameResponse = call(requests())
    return response


def _pieces(responses: Iterator[Any]) -> Iterator[arrow.Piece]:
    for response in responses:
        if isinstance(response, memoryview):
            yield response
        elif response.WhichOneof("part") == "chunk":
            yield response.chunk.ipc
