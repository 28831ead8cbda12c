"""The definitions of the datasets, kept for a short while so that a click needs no extra call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.ports import Clock

from sluice_gateway import messages
from sluice_gateway.body import JSON
from sluice_gateway.engine import QueryEngine
from sluice_gateway.errors import DatasetNotFound, ViewNotFound

_UNKNOWN_TTL_S = 1.0
"""How often an unknown name may cause a refresh: a new dataset shows soon, a scan of names costs a call a second."""


@dataclass(frozen=True)
class Definition:
    """One dataset: its JSON form, and what the gateway reads from it.

    Attributes:
        json: as `GET /api/datasets/{name}` shows it.
        parameters: JSON Schema of each primary parameter by name.
        filters: JSON Schema of each view-time filter, and of each parameter of a view, by name.
        views: whether a view is paged, by name, in declaration order.
        titles: of the columns by their names, by view.
        snapshot: its views answer without a query.
    """

    name: str
    route: str
    json: messages.JSONObject
    parameters: Mapping[str, dict[str, JSON]]
    filters: Mapping[str, dict[str, JSON]]
    views: Mapping[str, bool]
    titles: Mapping[str, Mapping[str, str]]
    sort_keys: frozenset[str]
    snapshot: bool = False

    @classmethod
    def of(cls, message: pb.Dataset) -> Definition:
        """Return the definition that the query-engine describes."""
        return cls(
            name=message.name,
            route=message.route,
            json=messages.dataset(message),
            parameters=_properties(messages.schema(message.parameters_schema)),
            filters={
                name: schema
                for struct in (*(view.parameters_schema for view in message.views), message.filters_schema)
                for name, schema in _properties(messages.schema(struct)).items()
            },
            views={view.name: view.paged for view in message.views},
            titles={view.name: {column.name: column.title for column in view.columns} for view in message.views},
            sort_keys=frozenset(key.name for view in message.views for key in view.sort_keys),
            snapshot=message.kind == pb.DATASET_KIND_SNAPSHOT,
        )

    @property
    def rows_views(self) -> list[str]:
        """The views that have rows; the first is exported when none is named: `list`, else the first declared."""
        return sorted((name for name, paged in self.views.items() if paged), key=lambda name: name != "list")

    def check_view(self, view: str) -> None:
        """Refuse a view the dataset does not have.

        Raises:
            ViewNotFound: it has no such view.
        """
        if view not in self.views:
            raise ViewNotFound(self.name, view)


class Definitions:
    """All datasets by name and by route.

    Args:
        engine: whom to ask.
        ttl_s: how long an answer is taken as known, in seconds.
        clock: tells how old it is.
    """

    def __init__(self, engine: QueryEngine, ttl_s: float, clock: Clock) -> None:
        self._engine = engine
        self._ttl_s = ttl_s
        self._clock = clock
        self._by_name: dict[str, Definition] = {}
        self._by_route: dict[str, Definition] = {}
        self._read_s: float | None = None
        # One refresh at a time; the others wait for its answer.
        self._refreshing = asyncio.Lock()

    async def listed(self) -> messages.JSONObject:
        """Return all definitions and the plant's clock, read anew."""
        response = await self._refresh()
        return {
            "plant_time": response.plant_time,
            "datasets": [self._by_name[dataset.name].json for dataset in response.datasets],
        }

    async def all(self) -> list[Definition]:
        """Return all definitions in name order."""
        await self._ensure(self._ttl_s)
        return list(self._by_name.values())

    async def by_name(self, name: str) -> Definition:
        """Return a definition. Raises `DatasetNotFound`."""
        return await self._found(name, routed=False)

    async def by_route(self, route: str) -> Definition:
        """Return the definition served under `/api/<route>`. Raises `DatasetNotFound`."""
        return await self._found(route, routed=True)

    async def _found(self, key: str, *, routed: bool) -> Definition:
        for ttl_s in (self._ttl_s, min(self._ttl_s, _UNKNOWN_TTL_S)):
            await self._ensure(ttl_s)
            found = (self._by_route if routed else self._by_name).get(key)
            if found is not None:
                return found
        raise DatasetNotFound(key)

    async def _ensure(self, ttl_s: float) -> None:
        if self._is_fresh(ttl_s):
            return
        async with self._refreshing:
            if not self._is_fresh(ttl_s):
                await self._refresh()

    def _is_fresh(self, ttl_s: float) -> bool:
        return self._read_s is not None and self._clock.monotonic() - self._read_s < ttl_s

    async def _refresh(self) -> pb.ListDatasetsResponse:
        response = await self._engine.list_datasets()
        found = [Definition.of(dataset) for dataset in response.datasets]
        self._by_name = {definition.name: definition for definition in found}
        self._by_route = {definition.route: definition for definition in found}
        self._read_s = self._clock.monotonic()
        return response


def _properties(schema: messages.JSONObject) -> dict[str, dict[str, JSON]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: member if isinstance(member, dict) else {} for name, member in properties.items()}
