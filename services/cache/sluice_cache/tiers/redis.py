"""L2: small frames in Redis as compressed IPC in values of 2 MiB."""

from __future__ import annotations

import itertools
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa
import structlog
from sluice_rpc import arrow, pieces

from sluice_cache.frames import Frame, TierKind
from sluice_cache.redis_link import RedisLink
from sluice_cache.tiers import CopyBroken, TierAway, TierCounts
from sluice_cache.tiers.holdings import Holdings
from sluice_cache.tiers.rows import counted

log = structlog.get_logger()

VALUE_BYTES = 2 << 20
VALUES_AT_ONCE = 4
"""Read in one round trip: it stays far below the time-out of a call."""
UNSENT_VALUE_COUNT = 16
"""A stream that Redis is so far behind with is not kept there by its put; no put waits for Redis."""
RECEIVER_COUNT = 4
"""Copies that are read at the same time; more of them would only share one Redis."""
SETTLE_S = 0.25
"""How long a put waits at its end for the values that are still on their way."""
_SUM_LENGTH = 8
"""Hexadecimal characters of a CRC-32."""
UNNAMED_LIFE_S = 120
"""Values that no frame comes to name, because the process died in between, go by themselves."""


class RedisCopy:
    """A frame in Redis, read value by value; checked against its checksum by the time the last batch is there."""

    def __init__(self, values: CheckedValues, frame: Frame) -> None:
        self._frame = frame
        self._values = values
        try:
            self._reader = arrow.decode(values)
        except (pa.ArrowException, OSError) as error:
            raise CopyBroken(f"{frame.frame_id}: {error}") from error

    @property
    def schema(self) -> pa.Schema:
        return self._reader.schema

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        yield from counted(self._reader, self._frame, columns)
        self._values.check()

    def close(self) -> None:
        self._reader.close()


class CheckedValues:
    """The values of a copy, in order; each is one that was written, or is not given out.

    A copy of an earlier release has one sum for all of its values: they are known to be right at the end.

    Args:
        token: the tier's name for the copy, with the sums of its values.
        values: as they are read.
    """

    def __init__(self, token: str, values: Iterator[bytes]) -> None:
        self._token = token
        self._values = values
        name, _, count = token.rpartition(":")
        told = name.rpartition("-")[2]
        self._sums = [told[at : at + _SUM_LENGTH] for at in range(0, len(told), _SUM_LENGTH)]
        self._unsummed_count = int(count) - len(self._sums)
        self.crc = 0

    @property
    def each_summed(self) -> bool:
        """Whether each value is compared as it is read; of copies of an earlier release only all of them at the end."""
        return self._unsummed_count <= 0

    def __iter__(self) -> Iterator[bytes]:
        for number, value in enumerate(self._values):
            self.crc = zlib.crc32(value, self.crc)
            if number >= self._unsummed_count and f"{self.crc:08x}" != self._sums[number - self._unsummed_count]:
                raise CopyBroken(f"{self._token}: not the bytes that were written")
            yield value

    def check(self) -> None:
        """Read what is left and raise CopyBroken when a value is not the one that was written."""
        for _ in self:
            pass


class RedisTier:
    """Copies of frames in Redis; seen by every cache process of the deployment.

    Args:
        link: to Redis.
        max_bytes: what `overflow` measures against: of what this process wrote.

    Attributes:
        receivers: run what reads whole copies while others send on what came of them.
    """

    kind = TierKind.REDIS

    def __init__(self, link: RedisLink, max_bytes: int = 1 << 30) -> None:
        self._link = link
        self._max_bytes = max_bytes
        self._senders = ThreadPoolExecutor(2, thread_name_prefix="redis-values")
        self.receivers = ThreadPoolExecutor(RECEIVER_COUNT, thread_name_prefix="redis-copies")
        # What this process wrote, or read, and has not found gone or expired since; other processes have their own.
        self._holdings = Holdings(max_bytes)

    def create(self, frame_id: str, version: int, schema: pa.Schema) -> RedisWriter:
        return RedisWriter(self._link, f"{frame_id}:{version}:{secrets.token_hex(4)}", schema, self._holdings.add)

    def receive(self, frame_id: str, version: int) -> RedisStream:
        """Begin a copy of a compressed stream that is still coming."""
        name = f"{frame_id}:{version}:{secrets.token_hex(4)}"
        return RedisStream(self._link, name, self._holdings.add, self._senders)

    def keep(self, frame: Frame, content: pa.Buffer) -> str:
        """Store a compressed stream as it is and return the tier's name for the copy.

        Raises:
            TierAway: Redis is away or refused.
        """
        name = f"{frame.frame_id}:{frame.version}:{secrets.token_hex(4)}"
        return _stored(self._link, name, content, self._holdings.add)

    def close(self) -> None:
        """End the threads that send and receive values; what they have not begun is dropped."""
        self._senders.shutdown(cancel_futures=True)
        self.receivers.shutdown(cancel_futures=True)

    def open(self, frame: Frame) -> RedisCopy | None:
        values = self.values(frame)
        return RedisCopy(values, frame) if values is not None else None

    def values(self, frame: Frame) -> CheckedValues | None:
        """Return the values of a frame's copy as they lie, or None when it is not there any more.

        Raises:
            CopyBroken: a value is gone; from their reading.
            TierAway: it cannot be known now; also from their reading.
        """
        token = frame.copies.get(self.kind)
        if token is None:
            self._holdings.read(hit=False)
            return None
        keys = value_keys(self._link.prefix, token)
        # One alone comes first: its reader has it while Redis sends the next, and a copy that is gone shows itself.
        cuts = [0, *range(1, len(keys), VALUES_AT_ONCE), len(keys)]
        coming = pieces.ahead((self._read(keys[start:end]) for start, end in itertools.pairwise(cuts)), count=1)
        first = next(coming)
        self._holdings.read(hit=first[0] is not None)
        if first[0] is None:
            coming.close()
            self._holdings.remove(token)
            return None
        return CheckedValues(token, _present(itertools.chain(first, itertools.chain.from_iterable(coming)), frame))

    def delete(self, token: str) -> None:
        self._holdings.remove(token)
        keys = value_keys(self._link.prefix, token)
        try:
            self._link.call(lambda client: client.unlink(*keys))
        except TierAway as error:
            log.debug("values left to their expiry", reason=str(error))

    def overflow(self) -> list[str]:
        """Return the copies to give up, oldest first, so that the rest fits the budget."""
        return self._holdings.first_beyond(self._max_bytes)

    def evicted(self) -> None:
        """Count one copy given up for the budget."""
        self._holdings.evicted()

    def counts(self) -> TierCounts:
        # Asked, not remembered: before the first frame is shared nobody has spoken to Redis yet.
        with suppress(TierAway):
            self._link.call(lambda client: client.ping())
        return replace(self._holdings.counts(), available=self._link.available, reason=self._link.reason)

    def _read(self, keys: list[str]) -> list[bytes | None]:
        found = self._link.call(lambda client: client.mget(keys))
        return [value if isinstance(value, bytes) else None for value in found]


def _present(values: Iterable[bytes | None], frame: Frame) -> Iterator[bytes]:
    for value in values:
        if value is None:
            raise CopyBroken(f"{frame.frame_id}: a value is gone")
        yield value


class RedisStream:
    """A copy that is written while its bytes come, value by value, on threads that no put waits for."""

    def __init__(self, link: RedisLink, name: str, stored: Callable[[str, int], None], senders: Executor) -> None:
        self._link = link
        self._name = name
        self._stored = stored
        self._senders = senders
        self._pieces: list[arrow.Piece] = []
        self._unsent_bytes = self._bytes = 0
        self._sent: list[Future[object]] = []
        self._sums: list[int] = []
        self._crc = 0
        self._behind = False

    def add(self, piece: arrow.Piece, crc: int) -> None:
        """Take the next bytes of the stream.

        Args:
            piece: these.
            crc: CRC-32 of the stream up to their end.
        """
        self._pieces.append(piece)
        self._crc = crc
        self._unsent_bytes += len(piece)
        if self._unsent_bytes >= VALUE_BYTES:
            self._send()

    def commit(self) -> str | None:
        """Return the tier's name for the copy; None when Redis has not taken all of it by now."""
        if self._pieces:
            self._send()
        done, unfinished = wait(self._sent, SETTLE_S)
        if self._behind or unfinished or any(sent.exception() is not None for sent in done):
            self.abort()
            return None
        token = _token(self._name, self._sums)
        self._stored(token, self._bytes)
        return token

    def abort(self) -> None:
        """Take back what was written; what still is on its way expires by itself."""
        keys = [_key(self._link.prefix, self._name, number) for number in range(len(self._sent))]
        if keys:
            self._senders.submit(self._unlink, keys)

    def _send(self) -> None:
        # What came as one piece is sent as it lies.
        value = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._unsent_bytes = 0
        self._bytes += len(value)
        self._behind = self._behind or sum(not sent.done() for sent in self._sent) >= UNSENT_VALUE_COUNT
        if not self._behind:
            key = _key(self._link.prefix, self._name, len(self._sent))
            self._sums.append(self._crc)
            self._sent.append(self._senders.submit(self._set, key, value))

    def _set(self, key: str, value: arrow.Piece) -> object:
        return self._link.call(lambda client: client.set(key, value, ex=UNNAMED_LIFE_S))

    def _unlink(self, keys: list[str]) -> None:
        with suppress(TierAway):
            self._link.call(lambda client: client.unlink(*keys))


class RedisWriter:
    """A copy in the making, in memory, as frames in Redis are small; its values expire unless a frame names them."""

    def __init__(self, link: RedisLink, name: str, schema: pa.Schema, stored: Callable[[str, int], None]) -> None:
        self._link = link
        self._name = name
        self._stored = stored
        self._sink = pa.BufferOutputStream()
        self._writer = pa.ipc.new_stream(self._sink, schema, options=arrow.write_options("zstd"))

    def write(self, batch: pa.RecordBatch) -> None:
        for offset in range(0, batch.num_rows, arrow.BATCH_ROW_COUNT):
            self._writer.write_batch(batch.slice(offset, arrow.BATCH_ROW_COUNT))

    def commit(self) -> str:
        self._writer.close()
        return _stored(self._link, self._name, self._sink.getvalue(), self._stored)

    def abort(self) -> None:
        """Nothing to give back: what was written expires by itself."""


def _stored(link: RedisLink, name: str, stream: pa.Buffer, stored: Callable[[str, int], None]) -> str:
    content = memoryview(stream)
    values = [content[start : start + VALUE_BYTES] for start in range(0, len(content), VALUE_BYTES)]
    token = _token(name, itertools.islice(itertools.accumulate(values, _added_crc, initial=0), 1, None))
    for key, value in zip(value_keys(link.prefix, token), values, strict=True):
        link.call(lambda client, key=key, value=value: client.set(key, value, ex=UNNAMED_LIFE_S))  # type: ignore[misc]
    stored(token, len(content))
    return token


def _added_crc(crc: int, value: memoryview) -> int:
    return zlib.crc32(value, crc)


def _token(name: str, crcs: Iterable[int]) -> str:
    """Return the name of a copy: each value's sum is that of the stream up to its end."""
    sums = [f"{crc:08x}" for crc in crcs]
    return f"{name}-{''.join(sums)}:{len(sums)}"


def value_keys(prefix: str, token: str) -> list[str]:
    """Return the keys of a copy's values, in order."""
    name, _, count = token.rpartition(":")
    # The sums are in the token alone: the first values are written before all of them are known.
    return [_key(prefix, name.rpartition("-")[0] or name, number) for number in range(int(count))]


def _key(prefix: str, name: str, number: int) -> str:
    return f"{prefix}frame:data:{name}:{number}"
