"""A resolution as it is answered: rows under the values as typed, guard rails, receipt; in messages or as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
from sluice.lineage.v1 import container_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow, pieces

from sluice_lineage.containers.resolve import Resolution

MAX_OFFENDER_COUNT: Final = 100


@dataclass(frozen=True)
class GuardRails:
    """Numbers above which an answer is flagged.

    Attributes:
        per_value_count: containers of one value.
        container_count: different containers of an answer.
    """

    per_value_count: int
    container_count: int


@dataclass(frozen=True)
class Answer:
    """What a request is told.

    Attributes:
        typed: the values as typed.
        resolution: what they mean, in the same order.
        read_time: when it was read, in UTC.
        tier: where it was kept; TIER_UNSPECIFIED when it was read for this request.
        rails: above which it is flagged.
    """

    typed: Sequence[str]
    resolution: Resolution
    read_time: datetime
    tier: table_pb2.Tier.ValueType
    rails: GuardRails

    def guardrail(self) -> pb.Guardrail:
        """Return what is above the guard rails."""
        counts = self.resolution.counts()
        above = np.flatnonzero(counts > self.rails.per_value_count)
        most = above[np.argsort(-counts[above], kind="stable")][:MAX_OFFENDER_COUNT]
        different = self.resolution.rows.column("container_id").unique()
        return pb.Guardrail(
            max_expansion_per_token=self.rails.per_value_count,
            expansion_offenders=[
                pb.ExpansionOffender(token=self.typed[position], count=int(counts[position]))
                for position in most.tolist()
            ],
            expansion_offender_count=len(above),
            max_container_ids=self.rails.container_count,
            resolved_container_ids=len(different),
            over_container_limit=len(different) > self.rails.container_count,
        )

    def receipt(self) -> table_pb2.Receipt:
        """Return what the answer says of itself."""
        found = self.resolution
        kept = self.tier != table_pb2.TIER_UNSPECIFIED
        receipt = table_pb2.Receipt(
            status=table_pb2.COMPLETENESS_COMPLETE,
            row_count=found.rows.num_rows,
            tier=self.tier,
            chunks=table_pb2.ChunkCounts(
                total=1 if kept else found.statement_count, reused=int(kept), run=found.statement_count
            ),
            warehouse_statement_count=found.statement_count,
            warehouse_row_count=found.warehouse_row_count,
            plan=_plan(found, kept=kept),
        )
        receipt.read_time.FromDatetime(self.read_time)
        return receipt

    def response(self) -> pb.ResolveContainersResponse:
        """Return the answer in one message."""
        counts = self.resolution.counts()
        return pb.ResolveContainersResponse(
            data=_data(self._containers()),
            total=self.resolution.rows.num_rows,
            input_count=len(self.typed),
            not_found=[self.typed[position] for position in np.flatnonzero(counts == 0).tolist()],
            expansion_info={
                self.typed[position]: int(counts[position]) for position in np.flatnonzero(counts).tolist()
            },
            guardrail=self.guardrail(),
            receipt=self.receipt(),
        )

    def stream(self) -> Iterator[pb.ReadContainersResponse | bytes]:
        """Yield the summary, then each table; pieces come as the bytes of their message."""
        yield pb.ReadContainersResponse(
            summary=pb.ContainersSummary(
                total=self.resolution.rows.num_rows,
                input_count=len(self.typed),
                not_found_count=int(np.count_nonzero(self.resolution.counts() == 0)),
                guardrail=self.guardrail(),
                receipt=self.receipt(),
            )
        )
        yield from _table(pb.CONTAINER_TABLE_TOKENS, self._tokens())
        yield from _table(pb.CONTAINER_TABLE_CONTAINERS, self._containers())

    def _tokens(self) -> pa.Table:
        columns = {"input_value": pa.array(self.typed, pa.string()), "container_count": self.resolution.counts()}
        return pa.table(columns)

    def _containers(self) -> pa.Table:
        rows = self.resolution.rows
        positions = rows.column("position").combine_chunks()
        columns = {
            "container_id": rows.column("container_id"),
            "lot_id": rows.column("lot_id"),
            "input_value": pa.DictionaryArray.from_arrays(positions, pa.array(self.typed, pa.string())),
            "spec_name": rows.column("spec_name"),
            "qty": rows.column("qty"),
            "match_source": rows.column("match_source"),
        }
        return pa.table(columns)


def _table(table: pb.ContainerTable.ValueType, rows: pa.Table) -> Iterator[pb.ReadContainersResponse | bytes]:
    yield pb.ReadContainersResponse(header=pb.ContainerTableHeader(table=table, row_count=rows.num_rows))
    yield from pieces.on_the_wire(arrow.encode(rows.schema, rows.to_batches()))


def _data(rows: pa.Table) -> Iterator[pb.ResolvedContainer]:
    columns = (rows.column(name).to_pylist() for name in rows.column_names)
    for container_id, lot_id, input_value, spec_name, qty, match_source in zip(*columns, strict=True):
        yield pb.ResolvedContainer(
            container_id=container_id,
            lot_id=lot_id or "",
            input_value=input_value,
            spec_name=spec_name or "",
            qty=qty,
            match_source=match_source,
        )


def _plan(found: Resolution, *, kept: bool) -> str:
    if not found.names:
        return "nothing was asked for, nothing was read"
    if kept:
        return "these values were resolved before; nothing was read"
    statements = "1 statement" if found.statement_count == 1 else f"{found.statement_count:,} statements"
    said = f"{statements} read {found.warehouse_row_count:,} rows"
    if found.unsearched_count:
        said += f"; {found.unsearched_count:,} values not found were too many to be looked for in any case"
    return said
