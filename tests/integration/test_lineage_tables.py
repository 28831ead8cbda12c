"""Genealogy as Arrow tables, and edges as frames of a real cache process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_client.ports import take_free
from sluice_lineage.frames import CacheFrames, FrameFacts
from sluice_rpc.errors import InvalidArgument, NotFound

from tests.cache_process import started
from tests.polling import poll_until
from tests.unit.lineage.conftest import serve
from tests.unit.lineage.stub import Lineage
from tests.unit.lineage.zoo import PARENTS, cid, cids, write_zoo

FULL, FORWARD = pb.GENEALOGY_KIND_FULL, pb.GENEALOGY_KIND_FORWARD


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo as a file."""
    return write_zoo(tmp_path_factory.mktemp("zoo") / "twin.duckdb")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real cache process, by its address."""
    port = take_free(1)[0]
    with started(tmp_path_factory.mktemp("cache"), port):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def lineage(plant: Path, cache: str) -> Iterator[Lineage]:
    """Lineage with that cache."""
    with ExitStack() as closing:
        yield serve(closing, warehouse_url=f"duckdb://{plant}", cache_target=cache)


def read(lineage: Lineage, **request: Any) -> tuple[table_pb2.Receipt, dict[int, Any]]:
    receipt = table_pb2.Receipt()
    pieces: dict[int, list[bytes]] = {}
    table = 0
    for part in lineage.stub.ReadGenealogy(pb.ReadGenealogyRequest(**request), timeout=30):
        if part.WhichOneof("part") == "receipt":
            receipt = part.receipt
        elif part.WhichOneof("part") == "header":
            table = part.header.table
            pieces[table] = []
        else:
            pieces[table].append(part.chunk.ipc)
    return receipt, {name: pa.ipc.open_stream(b"".join(parts)).read_all() for name, parts in pieces.items()}


def test_the_tables_of_a_genealogy_are_its_dictionaries(lineage: Lineage) -> None:
    asked = cids(*PARENTS, "who")
    _, tables = read(lineage, kind=FULL, container_ids=asked)
    answer = lineage.stub.ResolveFullGenealogy(pb.ResolveFullGenealogyRequest(container_ids=asked), timeout=30)
    ancestors = tables[pb.GENEALOGY_TABLE_ANCESTORS]
    assert list(zip(*(ancestors.column(name).to_pylist() for name in ("seed_id", "ancestor_id")), strict=True)) == [
        (seed, ancestor) for seed in asked for ancestor in answer.ancestors[seed].container_ids
    ]
    assert tables[pb.GENEALOGY_TABLE_EDGES].to_pylist() == [
        {
            "from_cid": edge.from_cid,
            "to_cid": edge.to_cid,
            "edge_type": pb.EdgeType.Name(edge.edge_type).removeprefix("EDGE_TYPE_").lower(),
        }
        for edge in answer.edges
    ]
    assert tables[pb.GENEALOGY_TABLE_NODES].column("container_id").to_pylist() == sorted(answer.nodes)
    assert tables[pb.GENEALOGY_TABLE_TRUNCATED].column(0).to_pylist() == list(answer.truncated_ids)
    assert [row["seed_id"] for row in tables[pb.GENEALOGY_TABLE_SEEDS].to_pylist() if not row["found"]] == cids("who")


def test_the_tables_of_a_forward_tree_have_the_serials_of_its_leaves(lineage: Lineage) -> None:
    _, tables = read(lineage, kind=FORWARD, container_ids=cids("b"))
    assert tables[pb.GENEALOGY_TABLE_SERIALS].to_pylist() == [
        {"container_id": cid("c"), "serial_number": "FN-C"},
        {"container_id": cid("c2"), "serial_number": "FN-C2"},
        {"container_id": cid("c2"), "serial_number": "Unknown"},
    ]


def test_only_the_tables_asked_for_come_in_the_order_asked(lineage: Lineage) -> None:
    wanted = [pb.GENEALOGY_TABLE_SEEDS, pb.GENEALOGY_TABLE_EDGES]
    _, tables = read(lineage, kind=FULL, container_ids=cids("c"), tables=wanted)
    assert list(tables) == wanted


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"container_ids": ["x"]}, "kind"),
        ({"kind": FORWARD, "tables": [pb.GENEALOGY_TABLE_ANCESTORS]}, "tables[0]"),
        ({"kind": FULL, "max_merge_hop_count": 21}, "max_merge_hop_count"),
        ({"kind": FULL, "max_node_count": -1}, "max_node_count"),
        ({"kind": FULL, "container_ids": ["x"], "ids_frame_id": "frame-of-ids"}, "ids_frame_id"),
    ],
)
def test_what_no_genealogy_can_be_read_for_is_refused_by_its_field(
    lineage: Lineage, request_: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(lineage, **request_)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_seeds_may_come_as_a_frame(lineage: Lineage, cache: str) -> None:
    now = datetime.now(UTC)
    facts = FrameFacts({}, now, now + timedelta(hours=1), now + timedelta(hours=1))
    with closing(CacheFrames(cache)) as frames:
        frames.put("ids-of-a-query", pa.table({"container_id": cids("c", "k3")}), facts, version=1)
    _, tables = read(lineage, kind=FULL, ids_frame_id="ids-of-a-query")
    assert tables[pb.GENEALOGY_TABLE_SEEDS].column("seed_id").to_pylist() == cids("c", "k3")


def test_a_frame_of_ids_that_is_gone_is_told(lineage: Lineage) -> None:
    with pytest.raises(NotFound) as caught:
        read(lineage, kind=FULL, ids_frame_id="gone-for-good")
    assert caught.value.reason == "CACHE_EXPIRED"


def test_a_process_that_starts_anew_answers_from_the_frames_of_the_one_before(plant: Path, cache: str) -> None:
    asked = cids("l", "k5", "w2", "gd")
    with ExitStack() as closing:
        first = serve(closing, warehouse_url=f"duckdb://{plant}", cache_target=cache)
        before, tables = read(first, kind=FULL, container_ids=asked)
    with ExitStack() as closing:
        second = serve(closing, warehouse_url=f"duckdb://{plant}", cache_target=cache)
        after, again = read(second, kind=FULL, container_ids=asked)
    assert (after.warehouse_statement_count, again) == (0, tables)
    assert after.read_time.ToDatetime() <= before.read_time.ToDatetime() + timedelta(seconds=1)


def test_with_the_cache_away_a_genealogy_is_still_answered(plant: Path) -> None:
    with ExitStack() as closing:
        alone = serve(closing, warehouse_url=f"duckdb://{plant}", cache_target=f"127.0.0.1:{take_free(1)[0]}")
        receipt, _ = poll_until(lambda: read(alone, kind=FULL, container_ids=cids("c")), 20)
    assert receipt.status == table_pb2.COMPLETENESS_COMPLETE
