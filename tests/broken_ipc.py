"""Arrow IPC streams broken on purpose: where a sender, a network or an enemy may break them."""

from __future__ import annotations

import decimal
import struct
from collections.abc import Callable, Sequence
from datetime import datetime

import pyarrow as pa
from hypothesis import strategies as st
from sluice_rpc import arrow

ROW_COUNT = 200
END_MARKER = b"\xff\xff\xff\xff\x00\x00\x00\x00"
LENGTHS = (-1, -(2**63), 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, 0, 1, 7)
"""What a length or an offset is overwritten with."""

Mutation = Callable[[bytes], bytes]


def tables() -> list[pa.Table]:
    """Return tables that between them hold every kind of buffer: offsets, views, bitmaps, dictionaries, children."""
    numbers = range(ROW_COUNT)
    texts = [f"lot-{number % 17}" if number % 5 else None for number in numbers]
    times = pa.array([datetime(2026, 1, 1 + number % 28) for number in numbers], pa.timestamp("s"))
    pairs = [{"x": number, "y": text} for number, text in zip(numbers, texts, strict=True)]
    return [
        pa.table({"n": pa.array(numbers, pa.int64()), "s": pa.array(texts), "t": times}),
        pa.table({"d": pa.array(texts).dictionary_encode(), "b": pa.array([number % 3 == 0 for number in numbers])}),
        pa.table(
            {
                "l": pa.array([list(range(number % 4)) for number in numbers], pa.list_(pa.int32())),
                "r": pa.array(pairs),
                "m": pa.array([decimal.Decimal(number) / 4 for number in numbers], pa.decimal128(12, 2)),
            }
        ),
        pa.table({"v": pa.array(texts, pa.string_view()), "g": pa.array(texts, pa.large_string())}),
        pa.table(
            {
                "k": pa.array([[("a", number)] for number in numbers], pa.map_(pa.string(), pa.int64())),
                "f": pa.array([[number, 2] for number in numbers], pa.list_(pa.int16(), 2)),
                "z": pa.nulls(ROW_COUNT),
            }
        ),
    ]


def broken() -> st.SearchStrategy[bytes]:
    """Return streams after one to three mutations, and bytes that never were one."""
    mutations = st.one_of(byte_mutations(_WHERE), st.builds(_indices_beyond, st.integers(1, 2**31 - 1)))
    mutated = st.builds(after, st.sampled_from(_STREAMS), st.lists(mutations, min_size=1, max_size=3))
    return st.one_of(mutated, mutated, mutated, st.binary(max_size=200))


def byte_mutations(where: st.SearchStrategy[float]) -> st.SearchStrategy[Mutation]:
    """Return mutations of bytes of any format.

    Args:
        where: places, as a part of the length from 0 to 1.
    """
    return st.one_of(
        st.builds(_flipped, st.lists(st.tuples(where, st.integers(0, 7)), min_size=1, max_size=4)),
        st.builds(_cut, where),
        st.builds(_without, where, st.integers(1, 64)),
        st.builds(_spliced, where, where, st.integers(8, 400)),
        st.builds(_overwritten, where, st.sampled_from(LENGTHS), st.sampled_from("iq")),
    )


def after(content: bytes, steps: Sequence[Mutation]) -> bytes:
    """Return bytes after mutations, one after the other."""
    for step in steps:
        content = step(content)
    return content


def _streams() -> list[bytes]:
    """Return the tables as whole streams, plain and zstd, one with a dictionary that grows."""
    found = [b"".join(arrow.encode(table.schema, table.to_batches(), codec)) for table in tables() for codec in _CODECS]
    return [*found, *(_growing(codec) for codec in _CODECS)]


def _growing(codec: arrow.Codec | None) -> bytes:
    """Return a stream whose dictionary is sent again, longer, before its second batch."""
    kind = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("d", kind), ("n", pa.int64())])
    batches = []
    for values in (["a", "b"], ["a", "b", "c", "d"]):
        indices = pa.array([number % len(values) for number in range(ROW_COUNT)], pa.int32())
        codes = pa.DictionaryArray.from_arrays(indices, pa.array(values))
        batches.append(pa.record_batch([codes, pa.array(range(ROW_COUNT), pa.int64())], schema=schema))
    return b"".join(arrow.encode(schema, batches, codec))


def _flipped(places: Sequence[tuple[float, int]]) -> Mutation:
    def step(stream: bytes) -> bytes:
        out = bytearray(stream)
        for where, bit in places:
            if out:
                out[int(where * len(out))] ^= 1 << bit
        return bytes(out)

    return step


def _cut(where: float) -> Mutation:
    return lambda stream: stream[: int(where * len(stream))]


def _without(where: float, size: int) -> Mutation:
    def step(stream: bytes) -> bytes:
        start = int(where * len(stream)) // 8 * 8
        return stream[:start] + stream[start + size :]

    return step


def _spliced(where: float, source: float, size: int) -> Mutation:
    def step(stream: bytes) -> bytes:
        start, other = int(where * len(stream)) // 8 * 8, int(source * len(stream)) // 8 * 8
        return stream[:start] + stream[other : other + size // 8 * 8] + stream[start:]

    return step


def _overwritten(where: float, value: int, form: str) -> Mutation:
    def step(stream: bytes) -> bytes:
        size = struct.calcsize(f"<{form}")
        start = int(where * len(stream)) // size * size
        bits = struct.pack("<Q", value & (2**64 - 1))[:size]
        return stream[:start] + bits + stream[start + size :]

    return step


def _indices_beyond(value: int) -> Mutation:
    """Overwrite the last integers of the stream's body, where indices and offsets lie."""

    def step(stream: bytes) -> bytes:
        body = stream.removesuffix(END_MARKER)
        return body[:-8] + struct.pack("<i", value) * 2 + END_MARKER if len(body) > 8 else stream

    return step


_CODECS: tuple[arrow.Codec | None, ...] = (None, "zstd")
_WHERE = st.floats(0, 1, exclude_max=True)
_STREAMS = _streams()
