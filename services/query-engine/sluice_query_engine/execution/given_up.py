"""Chunks that a query of before failed of and that this run of it does not try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sluice.query.v1 import query_service_pb2 as pb

from sluice_query_engine.execution.flights import Flights
from sluice_query_engine.execution.run import QueryRun, progress_of
from sluice_query_engine.execution.survey import Departures


def without(
    given_up: Sequence[pb.ChunkProgress], departures: Departures, flights: Flights, run: QueryRun
) -> Departures:
    """Return departures without the flights of what was given up; those chunks fail of what they failed of before."""
    planned = (progress_of(departures.plan.chunks[index]) for index in departures.flights)
    codes = {chunk.index: _code_of(chunk, given_up) for chunk in planned}
    left = {index: code for index, code in codes.items() if code}
    wanted = {index: flight for index, flight in departures.flights.items() if index not in left}
    for index, code in left.items():
        if not any(departures.flights[index] is flight for flight in wanted.values()):
            flights.leave(departures.flights[index], run)
        run.chunk_failed(index, code)
    return replace(departures, flights=wanted, given_up=tuple(given_up))


def _code_of(chunk: pb.ChunkProgress, given_up: Sequence[pb.ChunkProgress]) -> str:
    """Return what a planned chunk was given up with; empty when it is to be read.

    It is known again by its time, of which all must have been given up, since neighbours that failed may be planned as
    one now; a batch of ids by its position.
    """
    of_part = [item for item in given_up if item.part == chunk.part]
    if not chunk.end:
        same = [item for item in of_part if item.start == chunk.start and (chunk.start or item.index == chunk.index)]
        return next((item.code for item in same), "")
    upto = chunk.start
    inside = [item for item in sorted(of_part, key=lambda item: item.start) if item.start < chunk.end]
    for item in inside:
        if item.start <= upto < item.end:
            upto = item.end
    return next((item.code for item in inside if item.end > chunk.start), "") if upto >= chunk.end else ""
