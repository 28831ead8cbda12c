"""Texts of one length go without their offsets and come back as they were; nothing else is taken for such a text."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_rpc import arrow, fixed_texts

ROW_COUNT = arrow.BATCH_ROW_COUNT + 10


def sent(table: pa.Table) -> Iterator[bytes]:
    """Return the pieces of a table's stream, packed."""
    schema = fixed_texts.packed_schema(table)
    batches = fixed_texts.packed(table.to_batches(max_chunksize=arrow.BATCH_ROW_COUNT), schema)
    return arrow.encode(schema, batches, "lz4")


def texts(*values: str | None, kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"t": pa.array(values, kind or pa.string())})


def test_ids_come_back_as_text_and_take_fewer_bytes() -> None:
    table = pa.table(
        {
            "id": [f"{number * 7919:016x}" for number in range(ROW_COUNT)],
            "n": pa.array(range(ROW_COUNT), pa.int64()),
            "kind": pa.array([None, "x"] * (ROW_COUNT // 2)).dictionary_encode(),
        }
    )
    pieces = list(sent(table))
    assert arrow.decode(pieces).read_all().equals(table)
    plain = b"".join(arrow.encode(table.schema, table.to_batches(), "lz4"))
    # The offsets of 16-byte texts are incompressible to a codec that looks for four equal bytes.
    assert len(b"".join(pieces)) < len(plain) - 3 * ROW_COUNT


@pytest.mark.parametrize(
    "table",
    [
        texts("ab", "abc"),
        texts("ab", None),
        texts("", ""),
        texts(),
        texts("ab", "cd", kind=pa.large_string()),
        pa.table({"t": pa.array([b"ab", b"cd"])}),
        pa.table({"t": pa.array([b"ab", b"cd"], pa.binary(2))}),
    ],
    ids=["lengths differ", "one is NULL", "all empty", "no rows", "wide offsets", "bytes", "bytes of one length"],
)
def test_every_other_column_goes_as_it_is(table: pa.Table) -> None:
    assert fixed_texts.packed_schema(table).equals(table.schema)
    assert not fixed_texts.is_packed(table.schema)
    assert arrow.decode(sent(table)).read_all().equals(table)


def test_what_its_field_and_schema_say_comes_back_too() -> None:
    field = pa.field("t", pa.string(), nullable=False, metadata={"unit": "none"})
    table = pa.table([pa.array(["ab", "cd"])], schema=pa.schema([field], metadata={"made": "here"}))
    assert fixed_texts.is_packed(fixed_texts.packed_schema(table))
    assert arrow.decode(sent(table)).read_all().equals(table, check_metadata=True)


@given(st.lists(st.text(min_size=3, max_size=3) | st.text(max_size=4), max_size=20), st.integers(0, 3))
def test_texts_of_any_language_come_back(values: list[str], start: int) -> None:
    table = pa.table({"t": pa.array(values, pa.string()), "u": pa.array(["größer"] * len(values), pa.string())})
    sliced = table.slice(start)
    assert arrow.decode(sent(sliced)).read_all().equals(sliced)


def test_columns_of_several_chunks_are_packed_as_one() -> None:
    table = pa.concat_tables([texts("ab"), texts(), texts("cd", "ef")])
    schema = fixed_texts.packed_schema(table)
    assert schema.field("t").type == pa.binary(2)
    assert arrow.decode(sent(table)).read_all().equals(table)


def test_fewer_bytes_than_a_column_says_are_an_error() -> None:
    said = fixed_texts.packed_schema(texts("x" * 16)).serialize().to_pybytes()
    short = pa.RecordBatch.from_pydict({"t": pa.array([b"xx"] * 100, pa.binary(2))}).serialize().to_pybytes()
    with pytest.raises(pa.ArrowInvalid, match="too small"):
        arrow.decode([said, short, b"\xff\xff\xff\xff\x00\x00\x00\x00"]).read_all()
