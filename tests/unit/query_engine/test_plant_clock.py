"""The plant's clock: the warehouse's while it says it, and the last reading moved on while it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sluice_query_engine.plant_clock import PlantClock
from sluice_rpc.errors import QueryTimeout, ServiceError
from sluice_rpc.ports import FakeClock
from sluice_warehouse.errors import WarehouseError, WarehouseUnavailable

from tests.unit.query_engine.test_chunk_reader import PLANT_NOW, FakeWarehouse

FAILURES = [WarehouseUnavailable(), QueryTimeout("sysdate takes too long"), WarehouseError(600)]


class Moody(FakeWarehouse):
    """Says the time, or fails."""

    error: Exception | None = None

    def plant_time(self) -> datetime:
        if self.error is not None:
            raise self.error
        return super().plant_time()


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_what_was_read_goes_on_while_the_warehouse_does_not_say(error: ServiceError) -> None:
    warehouse, clock = Moody(), FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    plant = PlantClock(warehouse, clock)
    assert plant.now() == PLANT_NOW.replace(microsecond=0)
    warehouse.error = error
    clock.advance(90)
    assert plant.now() == PLANT_NOW.replace(microsecond=0) + timedelta(seconds=90)


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_without_a_reading_the_failure_is_told(error: ServiceError) -> None:
    warehouse = Moody()
    warehouse.error = error
    with pytest.raises(type(error)):
        PlantClock(warehouse, FakeClock(datetime(2026, 1, 1, tzinfo=UTC))).now()


def test_roughly_it_is_the_last_reading_moved_on_whatever_the_warehouse_does() -> None:
    warehouse, clock = Moody(), FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    plant = PlantClock(warehouse, clock)
    assert plant.roughly_now() == PLANT_NOW.replace(microsecond=0)
    warehouse.error = AssertionError("nobody is to be asked")
    clock.advance(90)
    assert plant.roughly_now() == PLANT_NOW.replace(microsecond=0) + timedelta(seconds=90)


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_roughly_is_nothing_where_there_was_no_reading_yet(error: ServiceError) -> None:
    warehouse = Moody()
    warehouse.error = error
    assert PlantClock(warehouse, FakeClock(datetime(2026, 1, 1, tzinfo=UTC))).roughly_now() is None
