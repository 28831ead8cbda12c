"""Tables as pieces of one IPC stream: the same rows come out, and no piece is larger than a mebibyte."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sluice_rpc.arrow import BATCH_ROW_COUNT, PIECE_BYTES, Codec, decode, encode

SCHEMA = pa.schema({"n": pa.int64(), "text": pa.string(), "kind": pa.dictionary(pa.int32(), pa.string())})


def batch(row_count: int, first: int = 0) -> pa.RecordBatch:
    numbers = pa.array(range(first, first + row_count), pa.int64())
    texts = pa.array([f"lot {number} " * 3 if number % 3 else None for number in range(first, first + row_count)])
    kinds = pa.array([f"kind {number % 5}" for number in range(first, first + row_count)]).dictionary_encode()
    return pa.RecordBatch.from_arrays([numbers, texts, kinds], schema=SCHEMA)


def pieces_of(batches: Iterable[pa.RecordBatch], codec: Codec | None = None) -> list[bytes]:
    return list(encode(SCHEMA, batches, codec))


@pytest.mark.parametrize("codec", [None, "zstd"])
def test_what_goes_in_comes_out(codec: Codec | None) -> None:
    batches = [batch(100_000), batch(7, 100_000)]
    read = decode(pieces_of(batches, codec)).read_all()
    assert read.equals(pa.Table.from_batches(batches))


def test_all_pieces_but_the_last_are_one_mebibyte() -> None:
    *full, last = pieces_of([batch(100_000)])
    assert ({len(piece) for piece in full}, 0 < len(last) <= PIECE_BYTES) == ({PIECE_BYTES}, True)


def test_batches_are_cut_at_the_row_limit() -> None:
    reader = decode(pieces_of([batch(BATCH_ROW_COUNT + 1)]))
    assert [read.num_rows for read in reader] == [BATCH_ROW_COUNT, 1]


def test_no_rows_still_have_a_schema() -> None:
    reader = decode(pieces_of([]))
    assert (reader.schema, reader.read_all().num_rows) == (SCHEMA, 0)


def test_batches_are_pulled_one_at_a_time() -> None:
    pulled: list[int] = []

    def batches() -> Iterable[pa.RecordBatch]:
        for number in range(3):
            pulled.append(number)
            yield batch(60_000)

    next(iter(encode(SCHEMA, batches())))
    assert pulled == [0]


def test_reading_pulls_no_further_than_it_must() -> None:
    pieces = pieces_of([batch(60_000) for _ in range(10)])
    pulled: list[int] = []

    def counted() -> Iterable[bytes]:
        for number, piece in enumerate(pieces):
            pulled.append(number)
            yield piece

    decode(counted()).read_next_batch()
    assert len(pulled) < len(pieces) / 2


def test_a_stream_that_ends_in_the_middle_is_an_error() -> None:
    stream = b"".join(pieces_of([batch(1000)]))
    with pytest.raises(pa.ArrowInvalid):
        decode([stream[: len(stream) // 2]]).read_all()


def test_a_stream_that_ends_between_two_batches_is_an_error() -> None:
    whole = b"".join(pieces_of([batch(1000), batch(1000)]))
    end_marker = b"\xff\xff\xff\xff\x00\x00\x00\x00"
    assert whole.endswith(end_marker)
    with pytest.raises(pa.ArrowInvalid, match="end marker"):
        decode([whole.removesuffix(end_marker)]).read_all()


def test_what_is_no_stream_is_an_error() -> None:
    with pytest.raises(pa.ArrowInvalid):
        decode([b"no stream at all"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 500), max_size=5), st.integers(1, 5000), st.sampled_from([None, "zstd"]))
def test_where_pieces_are_cut_does_not_matter(row_counts: list[int], width: int, codec: Codec | None) -> None:
    batches = [batch(row_count) for row_count in row_counts]
    stream = b"".join(pieces_of(batches, codec))
    cut = [stream[start : start + width] for start in range(0, len(stream), width)]
    assert decode(cut).read_all().equals(pa.Table.from_batches(batches, SCHEMA))
