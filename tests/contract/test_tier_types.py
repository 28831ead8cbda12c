"""Tables of every type that a frame may have come back from every tier as they were put; the others are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import fs
from sluice_cache.errors import InvalidFrame
from sluice_cache.frames import Frame
from sluice_cache.kinds import check_schema
from sluice_cache.redis_link import RedisLink
from sluice_cache.tiers import Tier
from sluice_cache.tiers.memory import MemoryTier
from sluice_cache.tiers.redis import RedisTier
from sluice_cache.tiers.spool import SpoolTier
from sluice_cache.tiers.spool_folder import SpoolFolder
from sluice_rpc.ports import SystemClock

INSTANTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
SECONDS = INSTANTS.map(lambda instant: instant.replace(microsecond=0))
MILLIS = INSTANTS.map(lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000))
TEXTS = st.text(max_size=12)
INTS = st.integers(-(2**63), 2**63 - 1)
DAYS = st.integers(-10_000, 10_000).map(lambda days: timedelta(days=days))


def decimals(places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-(10**17), 10**17).map(lambda units: Decimal(units).scaleb(-places))


KINDS: list[tuple[pa.DataType, st.SearchStrategy[object]]] = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), INTS),
    (pa.uint32(), st.integers(0, 2**32 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.decimal128(38, 0), st.integers(-(10**37), 10**37).map(Decimal)),
    (pa.decimal128(20, 4), decimals(4)),
    (pa.decimal256(60, 6), decimals(6)),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.binary(), st.binary(max_size=12)),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.time32("s"), st.times().map(lambda time: time.replace(microsecond=0))),
    (pa.time64("us"), st.times()),
    (pa.timestamp("s"), SECONDS),
    (pa.timestamp("ms"), MILLIS),
    (pa.timestamp("us"), INSTANTS),
    (pa.timestamp("ns"), INSTANTS),
    (pa.timestamp("s", "Asia/Taipei"), SECONDS),
    (pa.timestamp("us", "UTC"), INSTANTS),
    (pa.duration("us"), DAYS),
    (pa.list_(pa.int64()), st.lists(st.none() | INTS, max_size=4)),
    (pa.list_(pa.timestamp("s")), st.lists(SECONDS, max_size=4)),
    (pa.large_list(pa.string()), st.lists(TEXTS, max_size=4)),
    (pa.struct([("a", pa.int64()), ("b", pa.string())]), st.fixed_dictionaries({"a": INTS, "b": st.none() | TEXTS})),
    (pa.map_(pa.string(), pa.int64()), st.lists(st.tuples(TEXTS, INTS), max_size=3)),
    (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "b", "ü", ""])),
    (pa.dictionary(pa.int8(), pa.string(), ordered=True), st.sampled_from(["low", "high"])),
    (pa.dictionary(pa.int32(), pa.int64()), st.sampled_from([5, -7])),
]


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    row_count = draw(st.integers(0, 30))
    columns = {}
    for number in range(draw(st.integers(1, 4))):
        kind, values = draw(st.sampled_from(KINDS))
        items = draw(st.lists(st.none() | values, min_size=row_count, max_size=row_count))
        columns[f"c{number}"] = array_of(kind, items)
    return pa.table(columns)


def array_of(kind: pa.DataType, items: list[object]) -> pa.Array:
    if not pa.types.is_dictionary(kind):
        return pa.array(items, kind)
    encoded = pa.array(items, kind.value_type).dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        encoded.indices.cast(kind.index_type), encoded.dictionary, ordered=kind.ordered
    )


@pytest.fixture(scope="module", params=["memory", "redis", "spool on this disk", "spool in an object store"])
def tier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    folder: Path = tmp_path_factory.mktemp("tier")
    with ExitStack() as closing:
        built: dict[str, Callable[[], Tier]] = {
            "memory": lambda: MemoryTier(folder, 1 << 30),
            "redis": lambda: _redis_tier(request.getfixturevalue("redis_server").url, closing),
            "spool on this disk": lambda: SpoolTier(SpoolFolder.on_disk(folder), 1 << 30),
            "spool in an object store": lambda: SpoolTier(SpoolFolder(fs._MockFileSystem(), "bucket"), 1 << 30),
        }
        yield built[request.param]()


def _redis_tier(url: str, closing: ExitStack) -> Tier:
    link = RedisLink(url, "types:", SystemClock())
    closing.callback(link.close)
    return RedisTier(link)


def there_and_back(tier: Tier, table: pa.Table) -> pa.Table:
    writer = tier.create("frame-1", 1, table.schema)
    try:
        for batch in table.to_batches():
            writer.write(batch)
        token = writer.commit()
    finally:
        writer.abort()
    now = datetime.now(UTC)
    copy = tier.open(Frame("frame-1", 1, table.num_rows, 0, 0, now, now, now, {}, {tier.kind: token}))
    assert copy is not None
    try:
        return pa.Table.from_batches(copy.batches(), schema=copy.schema)
    finally:
        copy.close()
        tier.delete(token)


@given(tables())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_table_comes_back_from_any_tier(tier: Tier, table: pa.Table) -> None:
    check_schema(table.schema)
    back = there_and_back(tier, table)
    assert back.schema.equals(table.schema)
    assert back.equals(table)


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS], ids=str)
def test_a_column_of_nothing_but_nulls_keeps_its_type(tier: Tier, kind: pa.DataType) -> None:
    table = pa.table({"c": array_of(kind, [None, None, None])})
    assert there_and_back(tier, table).equals(table)


REFUSED = [
    pa.run_end_encoded(pa.int32(), pa.int64()),
    pa.month_day_nano_interval(),
    pa.struct([]),
    pa.dense_union([pa.field("a", pa.int64())]),
    pa.list_view(pa.int64()),
    pa.list_(pa.month_day_nano_interval()),
    pa.dictionary(pa.int32(), pa.list_(pa.int64())),
]


@pytest.mark.parametrize("kind", REFUSED, ids=str)
def test_a_type_that_some_tier_would_lose_is_refused_by_name(kind: pa.DataType) -> None:
    with pytest.raises(InvalidFrame, match="column 'odd'"):
        check_schema(pa.schema([("fine", pa.int64()), ("odd", kind)]))
