"""Operations: alive, ready, what is wrong where, and the figures for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sluice.health.v1 import details_service_pb2 as pb
from sluice_rpc.errors import ServiceError, Unavailable
from sluice_rpc.ports import Clock
from starlette.responses import Response

from sluice_gateway import render
from sluice_gateway.body import JSON
from sluice_gateway.cache_stats import CacheStats, stats_json
from sluice_gateway.engine import Health
from sluice_gateway.process_details import ProcessDetails, details_json
from sluice_gateway.verdict import Findings, reasons_of, status_of

_SERVING = "SERVING"


class NotReady(Unavailable):
    """Not every process serves; the metadata says which and why."""

    reason = "SERVICE_UNAVAILABLE"

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(f"not serving: {', '.join(sorted(reasons))}")
        self.metadata = dict(reasons)


@dataclass(frozen=True)
class Asked:
    """Whom `/health` asks.

    Args:
        processes: the health service of each process by name.
        details: what the processes with a warehouse say of themselves, by name.
        cache: what the cache says of itself.
    """

    processes: Mapping[str, Health]
    details: Mapping[str, ProcessDetails]
    cache: CacheStats


class HealthRoutes:
    """`/health/live`, `/health/ready`, `/health` and `/metrics`.

    Args:
        asked: whom they ask.
        ttl_s: how long a `/health` is shown to everybody who asks.
        clock: for that.
        registry: the gateway's own figures.
    """

    def __init__(self, asked: Asked, ttl_s: float, clock: Clock, registry: CollectorRegistry) -> None:
        self._asked = asked
        self._ttl_s = ttl_s
        self._clock = clock
        self._registry = registry
        self._asking = asyncio.Lock()
        self._shown: tuple[float, bool, bytes] | None = None

    async def live(self) -> Response:
        """Say that this process runs."""
        return Response(render.dumps({"status": "serving"}), media_type="application/json")

    async def ready(self) -> Response:
        """Say that every process serves; a problem that names those which do not otherwise."""
        reasons = {name: reason for name, reason in (await self._reasons()).items() if reason}
        if reasons:
            raise NotReady(reasons)
        return Response(render.dumps({"status": "serving"}), media_type="application/json")

    async def health(self) -> Response:
        """Show the whole: its status, what is wrong in order of urgency, and each part; 503 when nothing works."""
        async with self._asking:
            now = self._clock.monotonic()
            if self._shown is None or now - self._shown[0] >= self._ttl_s:
                self._shown = (now, *await self._report())
            _, works, content = self._shown
        if works:
            return Response(content, media_type="application/json")
        return Response(content, 503, {"Retry-After": "2"}, media_type="application/json")

    async def metrics(self) -> Response:
        """Return the figures of this process."""
        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _report(self) -> tuple[bool, bytes]:
        """Return whether queries are answered, and the page."""
        reasons, cache, details = await asyncio.gather(self._reasons(), self._asked.cache.read(), self._details())
        found = Findings(reasons, details, cache)
        problems = reasons_of(found)
        status = status_of(problems)
        processes: dict[str, JSON] = {"gateway": {"status": "serving", "reason": None}}
        for name, reason in reasons.items():
            processes[name] = {"status": "not_serving" if reason else "serving", "reason": reason or None}
        page: dict[str, JSON] = {
            "status": status,
            "degraded_reason": problems[0].code if problems else None,
            "reasons": [{"code": item.code, "process": item.process, "detail": item.detail} for item in problems],
            "processes": processes,
            "details": {name: details_json(said) for name, said in found.details.items()},
            "cache": stats_json(cache),
        }
        return status != "unhealthy", render.dumps(page)

    async def _reasons(self) -> dict[str, str]:
        """Return why each process does not serve; empty text where it does."""
        names = list(self._asked.processes)
        found = await asyncio.gather(*(_reason(self._asked.processes[name]) for name in names))
        return dict(zip(names, found, strict=True))

    async def _details(self) -> dict[str, pb.GetDetailsResponse | None]:
        """Return what each process with a warehouse says of itself; None where one does not answer."""
        names = list(self._asked.details)
        found = await asyncio.gather(*(self._asked.details[name].read() for name in names))
        return dict(zip(names, found, strict=True))


async def _reason(process: Health) -> str:
    try:
        status = await process.check()
    except ServiceError as error:
        return error.message
    return "" if status == _SERVING else f"reports {status}"
