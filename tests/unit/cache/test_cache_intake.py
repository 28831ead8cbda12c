"""Text from outside is looked at byte by byte, whether it is plain ASCII or not."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest
from sluice_cache.errors import InvalidFrame
from sluice_cache.intake import checked_batches
from sluice_rpc import arrow


def checked(column: pa.Array) -> pa.Table:
    batch = pa.record_batch({"text": column})
    schema, batches = checked_batches(arrow.encode(batch.schema, [batch]))
    return pa.Table.from_batches(list(batches), schema)


def text(offsets: list[int], content: bytes) -> pa.Array:
    buffers = [None, pa.py_buffer(struct.pack(f"{len(offsets)}i", *offsets)), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)


@pytest.mark.parametrize("values", [["a", None, "", "b"], ["ä", "漢字", "plain"], [None, None], [""], []])
def test_text_is_taken_as_it_is(values: list[str | None]) -> None:
    assert checked(pa.array(values, pa.string()))["text"].to_pylist() == values


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(text([0, 2], b"\xc3\x28"), id="no UTF-8"),
        pytest.param(text([0, 1, 2], "ä".encode()), id="a character cut by an offset"),
        pytest.param(text([0, 4, 2, 6], b"abcdef"), id="offsets that go back in plain text"),
    ],
)
def test_broken_text_is_refused(column: pa.Array) -> None:
    with pytest.raises(InvalidFrame):
        checked(column)
