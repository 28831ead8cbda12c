"""A copy in Redis gives its values one by one, in the order in which they were written, however many there are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import redis
from sluice_cache.frames import Frame, TierKind
from sluice_cache.redis_link import RedisLink
from sluice_cache.tiers import CopyBroken
from sluice_cache.tiers.redis import VALUE_BYTES, RedisTier, value_keys
from sluice_rpc.ports import SystemClock

PREFIX = "values:"
CONTENT = random.Random(5).randbytes(10 * VALUE_BYTES)


@pytest.fixture
def tier(redis_url: str) -> Iterator[RedisTier]:
    with closing(RedisLink(redis_url, PREFIX, SystemClock())) as link, closing(RedisTier(link)) as tier:
        yield tier


def kept(tier: RedisTier, value_count: int) -> Frame:
    now = datetime.now(UTC)
    frame = Frame("frame-1", 1, 0, 0, 0, now, now, now, {}, {})
    token = tier.keep(frame, pa.py_buffer(CONTENT[: value_count * VALUE_BYTES - 1]))
    return frame.with_copy(TierKind.REDIS, token)


def remove(url: str, frame: Frame, number: int) -> None:
    with closing(redis.Redis.from_url(url)) as client:
        client.delete(value_keys(PREFIX, frame.copies[TierKind.REDIS])[number])


@pytest.mark.parametrize("value_count", [1, 2, 4, 5, 6, 10])
def test_all_values_come_in_their_order(tier: RedisTier, value_count: int) -> None:
    values = tier.values(kept(tier, value_count))

    assert values is not None
    assert b"".join(values) == CONTENT[: value_count * VALUE_BYTES - 1]


def test_a_copy_whose_first_value_is_gone_is_not_there(tier: RedisTier, redis_url: str) -> None:
    frame = kept(tier, 6)
    remove(redis_url, frame, 0)

    assert tier.values(frame) is None


def test_the_values_before_one_that_is_gone_are_given(tier: RedisTier, redis_url: str) -> None:
    frame = kept(tier, 6)
    remove(redis_url, frame, 1)
    values = tier.values(frame)
    assert values is not None

    coming = iter(values)

    assert next(coming) == CONTENT[:VALUE_BYTES]
    with pytest.raises(CopyBroken, match="a value is gone"):
        next(coming)
