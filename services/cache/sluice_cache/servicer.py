"""Frames and manifests over gRPC: messages in, messages out, nothing else decided here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import grpc
import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice_rpc import arrow, pieces
from sluice_rpc.errors import InvalidParameter

from sluice_cache import codec, convert, intake
from sluice_cache.arrival import Arrival
from sluice_cache.errors import InvalidFrame, ResultTooLarge
from sluice_cache.frames import check_id
from sluice_cache.manifests import Manifests
from sluice_cache.pressure_watch import PressureWatch
from sluice_cache.tiers import Counted
from sluice_cache.tiers.memory import MappedCopy
from sluice_cache.tiers.opened import Opened
from sluice_cache.tiers.read_through import FrameStore

_DEFAULT_PAGE_SIZE = 1000
_MAX_PAGE_SIZE = 10_000


class FrameServicer(pb_grpc.FrameServiceServicer):
    """Frames and manifests over gRPC."""

    def __init__(self, store: FrameStore, manifests: Manifests, tiers: list[Counted], pressure: PressureWatch) -> None:
        self._store = store
        self._manifests = manifests
        self._tiers = tiers
        self._pressure = pressure

    def PutFrame(
        self, request_iterator: Iterator[pb.PutFrameRequest | memoryview], context: grpc.ServicerContext
    ) -> pb.PutFrameResponse:
        incoming = _Incoming(request_iterator)
        header = incoming.header()
        check_id(header.frame_id)
        arrival = Arrival(incoming.pieces(header.max_bytes))
        schema, batches = intake.checked_batches(arrival)
        frame, stored = self._store.put(
            header.frame_id,
            header.version,
            schema,
            incoming.counted(batches),
            lambda: convert.ending_from_proto(incoming.trailer(), incoming.bytes),
            arrival=arrival,
        )
        return pb.PutFrameResponse(frame=convert.frame_to_proto(frame), stored=stored)

    def GetFrame(  # type: ignore[override]  # bytes are the message already, see sluice_rpc.pieces
        self, request: pb.GetFrameRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetFrameResponse | bytes]:
        check_id(request.frame_id)
        if request.offset < 0 or request.limit < 0:
            raise InvalidParameter("offset", "offset and limit are never negative")
        stream = self._store.open_stream(request.frame_id) if _as_it_came(request) else None
        if stream is not None and (request.packed_texts or not stream.is_packed):
            yield pb.GetFrameResponse(frame=convert.frame_to_proto(stream.frame))
            for part in stream.parts:
                yield from pieces.on_the_wire(codec.pieces_of(part))
            return
        with self._store.open(request.frame_id) as opened:
            names = opened.copy.schema.names
            unknown = [name for name in request.columns if name not in names]
            if unknown:
                raise InvalidParameter("columns", f"the frame has no column {unknown[0]!r}")
            yield pb.GetFrameResponse(frame=convert.frame_to_proto(opened.frame))
            yield from pieces.on_the_wire(_pieces(opened, request))

    def StatFrame(self, request: pb.StatFrameRequest, context: grpc.ServicerContext) -> pb.StatFrameResponse:
        frame = self._store.catalogue.get(check_id(request.frame_id))
        return pb.StatFrameResponse(frame=convert.frame_to_proto(frame))

    def TouchFrame(self, request: pb.TouchFrameRequest, context: grpc.ServicerContext) -> pb.TouchFrameResponse:
        frame = self._store.catalogue.touch(
            check_id(request.frame_id),
            convert.time_from_proto(request.fresh_until_time, set_=request.HasField("fresh_until_time")),
            convert.time_from_proto(request.keep_until_time, set_=request.HasField("keep_until_time")),
        )
        return pb.TouchFrameResponse(frame=convert.frame_to_proto(frame))

    def DeleteFrame(self, request: pb.DeleteFrameRequest, context: grpc.ServicerContext) -> pb.DeleteFrameResponse:
        self._store.delete(check_id(request.frame_id))
        return pb.DeleteFrameResponse()

    def ListFrames(self, request: pb.ListFramesRequest, context: grpc.ServicerContext) -> pb.ListFramesResponse:
        if not request.labels:
            raise InvalidParameter("labels", "at least one label")
        if request.page_size < 0:
            raise InvalidParameter("page_size", "never negative")
        size = min(request.page_size or _DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE)
        after = _after(request)
        found = self._store.catalogue.matching(request.labels)
        # Frames keep their place (oldest read first, then id), so the last one of a page is where the next begins.
        rest = [frame for frame in found if (frame.read_time.isoformat(), frame.frame_id) > after]
        page = rest[:size]
        token = ""
        if len(rest) > size:
            last = page[-1]
            token = f"{_labels_hash(request)}|{last.read_time.isoformat()}|{last.frame_id}"
        return pb.ListFramesResponse(frames=map(convert.frame_to_proto, page), next_page_token=token)

    def PutManifest(self, request: pb.PutManifestRequest, context: grpc.ServicerContext) -> pb.PutManifestResponse:
        manifest, stored = self._manifests.put(request.manifest)
        return pb.PutManifestResponse(manifest=manifest, stored=stored)

    def GetManifest(self, request: pb.GetManifestRequest, context: grpc.ServicerContext) -> pb.GetManifestResponse:
        return pb.GetManifestResponse(manifest=self._manifests.get(check_id(request.manifest_id, "manifest_id")))

    def GetStats(self, request: pb.GetStatsRequest, context: grpc.ServicerContext) -> pb.GetStatsResponse:
        tiers = [convert.counts_to_proto(tier.kind, tier.counts()) for tier in self._tiers]
        stands = self._pressure.pressure()
        memory = convert.pressure_to_proto(stands)
        return pb.GetStatsResponse(tiers=tiers, rss_bytes=stands.reading.rss_bytes, memory=memory)


class _Incoming:
    """The messages of one put, in their order: header, pieces, trailer."""

    def __init__(self, requests: Iterator[pb.PutFrameRequest | memoryview]) -> None:
        self._requests = requests
        self._trailer: pb.FrameTrailer | None = None
        self._row_count = 0
        self.bytes = 0

    def header(self) -> pb.FrameHeader:
        first = next(self._requests, None)
        if not isinstance(first, pb.PutFrameRequest) or first.WhichOneof("part") != "header":
            raise InvalidFrame("header", "the first message of a put is its header")
        return first.header

    def pieces(self, max_bytes: int) -> Iterator[arrow.Piece]:
        for request in self._requests:
            if isinstance(request, memoryview):
                piece: arrow.Piece = request
            elif request.WhichOneof("part") == "chunk":
                # Asked once: protobuf makes a copy of it each time.
                piece = request.chunk.ipc
            elif request.WhichOneof("part") == "trailer":
                self._trailer = request.trailer
                return
            else:
                raise InvalidFrame("header", "a put has one header")
            self.bytes += len(piece)
            if 0 < max_bytes < self.bytes:
                raise ResultTooLarge("bytes", max_bytes, self.bytes)
            yield piece

    def counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._row_count += batch.num_rows
            yield batch

    def trailer(self) -> pb.FrameTrailer:
        """Return the trailer, which ends the put and must say what came."""
        if self._trailer is None:
            last = next(self._requests, None)
            if not isinstance(last, pb.PutFrameRequest) or last.WhichOneof("part") != "trailer":
                raise InvalidFrame("trailer", "the stream ended without its trailer")
            self._trailer = last.trailer
        if self._trailer.row_count != self._row_count:
            raise InvalidFrame("row_count", f"the trailer says {self._trailer.row_count}, {self._row_count} came")
        return self._trailer


def _as_it_came(request: pb.GetFrameRequest) -> bool:
    return request.compression == pb.COMPRESSION_ZSTD and not (request.columns or request.offset or request.limit)


def _pieces(opened: Opened, request: pb.GetFrameRequest) -> Iterator[arrow.Piece]:
    plain = request.compression != pb.COMPRESSION_ZSTD
    whole = not (request.columns or request.offset or request.limit)
    if plain and whole and isinstance(opened.copy, MappedCopy):
        return codec.pieces_of(opened.copy.content)
    columns = list(request.columns) or None
    schema = opened.copy.schema
    chosen = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    batches = _window(opened.copy.batches(columns), request.offset, request.limit)
    return arrow.encode(chosen, batches, None if plain else "zstd")


def _window(batches: Iterator[pa.RecordBatch], offset: int, limit: int) -> Iterator[pa.RecordBatch]:
    left = limit
    for batch in batches:
        kept = batch.slice(min(offset, batch.num_rows))
        offset -= batch.num_rows - kept.num_rows
        if limit:
            kept = kept.slice(0, left)
            left -= kept.num_rows
        if kept.num_rows:
            yield kept
        if limit and left == 0:
            return


def _labels_hash(request: pb.ListFramesRequest) -> str:
    return hashlib.sha256(repr(sorted(request.labels.items())).encode()).hexdigest()[:12]


def _after(request: pb.ListFramesRequest) -> tuple[str, str]:
    if not request.page_token:
        return ("", "")
    parts = request.page_token.split("|")
    if len(parts) != 3 or parts[0] != _labels_hash(request):
        raise InvalidParameter("page_token", "not a token of a page with these labels")
    return (parts[1], parts[2])
