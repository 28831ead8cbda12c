"""The Python client over gRPC against a running suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_client.client import SluiceClient
from sluice_rpc.errors import InvalidArgument, NotFound, ServiceError

from tests.running_suite import RunningSuite

DAYS = {"start_date": "2025-09-01", "end_date": "2025-10-31"}


@pytest.fixture
def client(suite: RunningSuite) -> Iterator[SluiceClient]:
    with SluiceClient(f"127.0.0.1:{suite.ports.query_engine}") as opened:
        yield opened


def test_datasets_are_listed(client: SluiceClient) -> None:
    assert "hold-history" in [dataset.name for dataset in client.datasets()]


def test_a_query_ends_complete(client: SluiceClient) -> None:
    assert client.query("hold-history", DAYS).state == pb.QUERY_STATE_COMPLETED


def test_waiting_tells_of_every_chunk(client: SluiceClient) -> None:
    seen: list[int] = []
    query = client.start("hold-history", DAYS, no_cache=True)
    client.wait(query.query_id, on_change=lambda change: seen.append(change.progress.completed_count))
    assert seen[-1] == query.progress.total_count


def test_a_view_is_a_table_with_its_receipt(client: SluiceClient) -> None:
    query = client.query("hold-history", DAYS)
    view = client.read_view(query.query_id, "trend", filters={"hold_type": "all"})
    assert view.table.column_names[:2] == ["day", "hold_type"]
    assert view.receipt.status == table_pb2.COMPLETENESS_COMPLETE


def test_a_view_becomes_a_dataframe(client: SluiceClient) -> None:
    query = client.query("hold-history", DAYS)
    view = client.read_view(query.query_id, "duration")
    assert view.to_pandas()["duration_range"].tolist() == ["<4h", "4-24h", "1-3d", ">3d"]


def test_a_paged_view_says_which_page_it_is(client: SluiceClient) -> None:
    query = client.query("hold-history", DAYS)
    view = client.read_view(query.query_id, "list", filters={"hold_type": "all"}, page=2, page_size=10)
    assert view.page is not None
    assert (view.page.page, view.table.num_rows) == (2, 10)


def test_an_export_holds_every_row_of_all_pages(client: SluiceClient) -> None:
    query = client.query("hold-history", DAYS)
    page = client.read_view(query.query_id, "list", filters={"hold_type": "all"}).page
    assert page is not None
    _, rows = client.export_rows(query.query_id, filters={"hold_type": "all"})
    with rows:
        assert rows.read_all().num_rows == page.total_count


def test_a_frame_is_read_as_it_is_stored(client: SluiceClient) -> None:
    query = client.query("hold-history", DAYS)
    receipt, rows = client.read_frame(query.query_id)
    with rows:
        assert rows.read_all().num_rows == receipt.row_count


def test_a_wrong_parameter_is_an_error_with_its_field(client: SluiceClient) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client.start("hold-history", {"start_date": "2025-09-01"})
    assert [violation.field for violation in caught.value.violations] == ["end_date"]


def test_an_unknown_query_is_expired(client: SluiceClient) -> None:
    with pytest.raises(NotFound) as caught:
        client.read_view("0123456789abcdef", "trend")
    assert caught.value.reason == "CACHE_EXPIRED"


def test_a_query_without_any_chunk_raises_the_chunks_reason(suite: RunningSuite, client: SluiceClient) -> None:
    rules = [{"statement": part, "code": "WAREHOUSE_UNAVAILABLE"} for part in ("slice", "carry_in")]
    with suite.faults(rules), pytest.raises(ServiceError) as caught:
        client.query("hold-history", {"start_date": "2024-01-10", "end_date": "2024-01-12"}, no_cache=True)
    assert caught.value.reason == "WAREHOUSE_UNAVAILABLE"
