"""Types on the wire, and dictionaries that grow without their codes ever moving."""

from __future__ import annotations

import itertools
from decimal import Decimal

import hypothesis
import hypothesis.strategies as st
import pyarrow as pa
import pytest
from sluice_cache import codec

TEXTS = st.lists(st.none() | st.sampled_from(["a", "b", "c", "d", ""]), max_size=20)


@hypothesis.given(st.lists(TEXTS, max_size=6))
def test_encoded_batches_hold_the_same_texts(lists: list[list[str | None]]) -> None:
    schema = pa.schema([("s", pa.string())])
    encoder = codec.DictionaryEncoder(schema, ["s"])
    encoded = [encoder.encode(pa.record_batch([pa.array(texts, pa.string())], schema=schema)) for texts in lists]
    assert [batch.column(0).to_pylist() for batch in encoded] == lists


@hypothesis.given(st.lists(TEXTS, min_size=2, max_size=6))
def test_a_later_dictionary_begins_with_the_earlier_one(lists: list[list[str | None]]) -> None:
    schema = pa.schema([("s", pa.string())])
    encoder = codec.DictionaryEncoder(schema, ["s"])
    encoded = [encoder.encode(pa.record_batch([pa.array(texts, pa.string())], schema=schema)) for texts in lists]
    values = [batch.column(0).dictionary.to_pylist() for batch in encoded]
    assert all(later[: len(earlier)] == earlier for earlier, later in itertools.pairwise(values))


def test_a_column_that_is_not_there_is_not_encoded() -> None:
    schema = pa.schema([("s", pa.string())])
    assert codec.DictionaryEncoder(schema, ["other"]).schema == schema


@pytest.mark.parametrize(
    ("given", "leaves"),
    [
        (pa.decimal128(38, 0), pa.int64()),
        (pa.decimal128(12, 2), pa.decimal128(12, 2)),
        (pa.dictionary(pa.uint8(), pa.string()), pa.string()),
        (pa.string_view(), pa.string()),
        (pa.timestamp("s"), pa.timestamp("s")),
        (pa.timestamp("us", "Etc/UTC"), pa.timestamp("us", "UTC")),
    ],
)
def test_a_column_leaves_in_its_wire_type(given: pa.DataType, leaves: pa.DataType) -> None:
    assert codec.wire_schema(pa.schema([("c", given)])).field("c").type == leaves


def test_a_sum_within_64_bits_leaves_as_int64() -> None:
    batch = pa.record_batch({"s": pa.array([Decimal(7), None], pa.decimal128(38, 0))})
    assert codec.to_wire(batch, codec.wire_schema(batch.schema)).to_pydict() == {"s": [7, None]}


def test_a_schema_survives_as_text() -> None:
    schema = pa.schema([("t", pa.timestamp("s")), ("d", pa.dictionary(pa.int32(), pa.string()))])
    assert codec.schema_from_text(codec.schema_to_text(schema)).equals(schema)


def test_a_broken_schema_text_is_an_arrow_error() -> None:
    with pytest.raises(pa.ArrowException):
        codec.schema_from_text(b"not base64!")
