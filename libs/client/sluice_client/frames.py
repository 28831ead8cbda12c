"""DataFrames in the cache service: whole ones under a key, and the numbered chunks of a query.

How the columns travel: as Arrow with pandas metadata, so that what comes back equals what was stored.

- Index: a RangeIndex costs nothing; any other, a MultiIndex included, is stored with its names. A DatetimeIndex comes
  back without its `freq`.
- Types: integers, floats, booleans, strings, bytes, dates, `Decimal`, timedeltas and the nullable pandas types keep
  their type. Decimals of one column come back with the scale of the widest. Categoricals keep categories and order,
  columns without any row too.
  Strings that pandas kept as Python objects come back in Arrow's memory.
- Time: `datetime64` keeps its unit; a zone is kept by name; zone-less stays zone-less and is never shifted.
- NULL: a column that is all NULL comes back all NULL, with its type if it had one and as objects if not. In object
  columns NaN and NaT come back as None.
- Not storable: two columns of one name, or a column of objects that share no Arrow type. Then the store answers False.
- Column names that are no strings come back as they were; `DataFrame.attrs` come back if JSON can hold them.

An Arrow table comes back as it was stored, whatever its types: nothing of it passes through pandas.

An unreachable cache, a full one, or one that no longer has the frame is an ordinary answer (False or None) and leaves a
line in the log: whoever stores a DataFrame here can compute it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice_rpc.client import open_bulk_channel
from sluice_rpc.errors import NotFound, ServiceError
from sluice_rpc.ports import Clock, SystemClock

from sluice_client.categories import categories_restored, with_categories
from sluice_client.repeated_dates import to_table
from sluice_client.transfer import put_frame, read_frame

log = structlog.get_logger()

Answer = TypeVar("Answer")

DEFAULT_TTL_S = 900
"""How long a DataFrame is kept where the caller does not say."""

_MAX_LABEL_LENGTH = 256
_NARROW_BYTES = 1 << 31
"""What offsets of 32 bits reach."""


class FrameStore:
    """DataFrames kept by the cache process; leaving the context closes the connection.

    Args:
        target: `host:port` of the cache process.
        timeout_s: longest wait for one call.
        clock: tells the time that versions and ages are made of.
    """

    def __init__(self, target: str, *, timeout_s: float = 30.0, clock: Clock | None = None) -> None:
        self._channel = open_bulk_channel(target, "cache", timeout_s=timeout_s)
        self._stub = pb_grpc.FrameServiceStub(self._channel)
        self._clock = clock or SystemClock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def store_df(self, key: str, df: pd.DataFrame, ttl: int = DEFAULT_TTL_S) -> bool:
        """Keep a DataFrame under a key and return whether the cache has it now; the later of two stores wins.

        Args:
            key: any text.
            df: see the module for what comes back of it.
            ttl: seconds until it is gone; at least 1.

        Raises:
            ValueError: the ttl is below 1.
        """
        if ttl < 1:
            raise ValueError(f"ttl is {ttl}; a DataFrame is kept for at least 1 s")
        try:
            # A frame has at least one column, so a DataFrame without any is stored as its index.
            table = to_table(df, preserve_index=True if df.columns.empty else None)
            table = with_categories(_narrowed(table, df), df)
        except (pa.ArrowException, ValueError, TypeError) as error:
            log.warning("dataframe not storable", key=key, reason=str(error))
            return False
        return self.store_table(key, table, ttl)

    def store_table(self, key: str, table: pa.Table, ttl: int = DEFAULT_TTL_S) -> bool:
        """Keep an Arrow table under a key and return whether the cache has it now; the later of two stores wins.

        Args:
            key: any text; DataFrames and tables share them.
            table: at least one column, each name once.
            ttl: seconds until it is gone; at least 1.

        Raises:
            ValueError: the ttl is below 1.
        """
        if ttl < 1:
            raise ValueError(f"ttl is {ttl}; a table is kept for at least 1 s")
        now = self._clock.now()
        # Microseconds: two stores by one caller within a millisecond must still have an order.
        header = pb.FrameHeader(frame_id=frame_id_of(key), version=int(now.timestamp() * 1_000_000))
        trailer = pb.FrameTrailer(row_count=table.num_rows, labels={"key": key[:_MAX_LABEL_LENGTH]})
        trailer.read_time.FromDatetime(now)
        trailer.fresh_until_time.FromDatetime(now + timedelta(seconds=ttl))
        trailer.keep_until_time.FromDatetime(now + timedelta(seconds=ttl))
        response = self._ask(key, lambda: put_frame(self._channel, header, table, trailer))
        return response is not None and response.stored

    def load_df(self, key: str) -> pd.DataFrame | None:
        """Return the DataFrame under a key; None when there is none, or the cache cannot be asked."""
        pool = pa.system_memory_pool()
        table = self._ask(key, lambda: _widened(self._reader(key), pool))
        if table is None:
            return None
        return categories_restored(table.to_pandas(memory_pool=pool), table)

    def load_table(self, key: str, columns: Sequence[str] = ()) -> pa.Table | None:
        """Return the table under a key, as it was stored; None when there is none, or the cache cannot be asked.

        Args:
            key: as it was stored under.
            columns: those wanted, in the order wanted; none are all.
        """
        return self._ask(key, lambda: self._reader(key, columns).read_all())

    def store_chunk(self, prefix: str, query_hash: str, idx: int, df: pd.DataFrame, ttl: int = DEFAULT_TTL_S) -> bool:
        """Keep one chunk of a query and return whether the cache has it now.

        Args:
            prefix: what the query asks, for example a dataset name.
            query_hash: id of the query.
            idx: position of the chunk, from 0.
            df: rows of the chunk; none are a chunk as well.
            ttl: seconds until it is gone; at least 1.
        """
        return self.store_df(chunk_key(prefix, query_hash, idx), df, ttl)

    def load_chunk(self, prefix: str, query_hash: str, idx: int) -> pd.DataFrame | None:
        """Return one chunk of a query; None when it is not there, or the cache cannot be asked."""
        return self.load_df(chunk_key(prefix, query_hash, idx))

    def chunk_exists(self, prefix: str, query_hash: str, idx: int) -> bool:
        """Return whether the cache has the chunk, without reading it."""
        key = chunk_key(prefix, query_hash, idx)
        request = pb.StatFrameRequest(frame_id=frame_id_of(key))
        return self._ask(key, lambda: self._stub.StatFrame(request)) is not None

    # The names that callers of the earlier Redis module know.
    redis_store_df = store_df
    redis_load_df = load_df
    redis_store_chunk = store_chunk
    redis_load_chunk = load_chunk
    redis_chunk_exists = chunk_exists

    def _reader(self, key: str, columns: Sequence[str] = ()) -> pa.RecordBatchReader:
        # Arrow's own allocator gives large blocks back at once, and the system clears each page before it lends it
        # again: most of the time that a second load takes. The system's allocator keeps some (ADR 0045).
        pool = pa.system_memory_pool()
        return read_frame(self._channel, frame_id_of(key), columns=columns, compression="zstd", pool=pool)

    def _ask(self, key: str, call: Callable[[], Answer]) -> Answer | None:
        try:
            return call()
        except NotFound:
            return None
        except ServiceError as error:
            log.warning("cache not usable", key=key, reason=error.reason, detail=error.message)
            return None
        except pa.ArrowException as error:
            log.warning("frame not readable", key=key, reason=str(error))
            return None


def chunk_key(prefix: str, query_hash: str, idx: int) -> str:
    """Return the key of one chunk of a query, in the form operators know from Redis."""
    return f"batch:{prefix}:{query_hash}:chunk:{idx}"


def frame_id_of(key: str) -> str:
    """Return the id under which the cache keeps a key: keys may be any text, frame ids may not."""
    return f"df-{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def _narrowed(table: pa.Table, df: pd.DataFrame) -> pa.Table:
    """Return the table of a DataFrame with pandas' texts under offsets of 32 bits; pandas makes them 64 again.

    Of texts of sixteen characters that is a sixth of the bytes to encode, send and decode.
    """
    schema = table.schema
    for position, field in enumerate(table.schema):
        of_pandas = isinstance(df.dtypes.get(field.name), pd.StringDtype)
        if of_pandas and pa.types.is_large_string(field.type) and table.column(position).nbytes < _NARROW_BYTES:
            schema = schema.set(position, field.with_type(pa.string()))
    return table.cast(schema)


def _widened(reader: pa.RecordBatchReader, pool: pa.MemoryPool) -> pa.Table:
    """Return all rows, texts with the offsets of 64 bits that pandas wants, in this pool; pandas would take another.

    Each batch gets them while the next is on its way.
    """
    schema = reader.schema
    texts = [position for position, field in enumerate(schema) if pa.types.is_string(field.type)]
    for position in texts:
        schema = schema.set(position, schema.field(position).with_type(pa.large_string()))
    batches = []
    for batch in reader:
        columns = batch.columns
        for position in texts:
            columns[position] = pc.cast(columns[position], pa.large_string(), memory_pool=pool)
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return pa.Table.from_batches(batches, schema)
