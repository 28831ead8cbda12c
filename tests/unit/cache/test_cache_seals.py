"""What a file's name vouches for."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_cache import seals
from sluice_cache.seals import Seal, seal_of

CONTENT = bytes(range(256)) * 8193 + b"tail"


@pytest.mark.parametrize("seal", [Seal(1, 2), Seal(2**63, 2**32 - 1, 0)])
def test_a_seal_comes_back_from_a_name(seal: Seal) -> None:
    assert seal_of(f"frame-1.7.{seal}.arrows") == seal


@given(st.integers(0, 8 * len(CONTENT) - 1))
def test_every_flipped_bit_changes_the_quick_sum(bit: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[bit // 8] ^= 1 << bit % 8
    assert seals.quick_sum_of(pa.py_buffer(bytes(damaged))) != seals.quick_sum_of(pa.py_buffer(CONTENT))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1 << 20, (1 << 20) + 8])
def test_bytes_of_any_length_are_vouched_for_by_their_own_seal_alone(size: int) -> None:
    content, other = pa.py_buffer(CONTENT[:size]), pa.py_buffer(CONTENT[: size + 1])
    name = f"frame-1.7.{seals.seal_by(content, 1)}.arrows"
    assert (seals.vouched(name, content), seals.vouched(name, other)) == (True, False)


def test_a_name_without_a_quick_sum_vouches_by_its_checksum() -> None:
    seal = seals.seal_by(pa.py_buffer(CONTENT), 1)
    name = f"frame-1.7.{Seal(1, seal.crc)}.arrowz"
    assert [seals.vouched(name, pa.py_buffer(content)) for content in (CONTENT, CONTENT[1:])] == [True, False]


def test_a_name_that_is_not_ours_vouches_for_nothing() -> None:
    assert not seals.vouched("frame-1.arrows", pa.py_buffer(CONTENT))
