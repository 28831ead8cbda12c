"""Operations: alive, ready, what is wrong where, and the figures for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sluice_rpc.errors import ServiceError, Unavailable
from starlette.responses import Response

from sluice_gateway import render
from sluice_gateway.body import JSON
from sluice_gateway.cache_stats import CacheStats
from sluice_gateway.engine import Health

_SERVING = "SERVING"


class NotReady(Unavailable):
    """Not every process serves; the metadata says which and why."""

    reason = "SERVICE_UNAVAILABLE"

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(f"not serving: {', '.join(sorted(reasons))}")
        self.metadata = dict(reasons)


class HealthRoutes:
    """`/health/live`, `/health/ready`, `/health` and `/metrics`.

    Args:
        processes: the health service of each process by name.
        cache: what the cache says of itself.
        registry: the gateway's own figures.
    """

    def __init__(self, processes: Mapping[str, Health], cache: CacheStats, registry: CollectorRegistry) -> None:
        self._processes = processes
        self._cache = cache
        self._registry = registry

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
        """Show each process, the reason where one does not serve, and the cache; 503 then, with the same content."""
        reasons, cache = await asyncio.gather(self._reasons(), self._cache.read())
        processes: dict[str, JSON] = {"gateway": {"status": "serving", "reason": None}}
        for name, reason in reasons.items():
            processes[name] = {"status": "not_serving" if reason else "serving", "reason": reason or None}
        degraded = any(reasons.values())
        status = "degraded" if degraded else "serving"
        content = render.dumps({"status": status, "processes": processes, "cache": cache})
        if degraded:
            return Response(content, 503, {"Retry-After": "2"}, media_type="application/json")
        return Response(content, media_type="application/json")

    async def metrics(self) -> Response:
        """Return the figures of this process."""
        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _reasons(self) -> dict[str, str]:
        """Return why each process does not serve; empty text where it does."""
        names = list(self._processes)
        found = await asyncio.gather(*(_reason(self._processes[name]) for name in names))
        return dict(zip(names, found, strict=True))


async def _reason(process: Health) -> str:
    try:
        status = await process.check()
    except ServiceError as error:
        return error.message
    return "" if status == _SERVING else f"reports {status}"
