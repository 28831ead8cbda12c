"""How the cap is divided, from SLUICE_PERMIT_*; every process that runs statements reads the same, its name aside."""

from __future__ import annotations

from typing import Final

import structlog
from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict
from sluice_rpc.ports import Clock, Ids
from sluice_rpc.settings import EnvironmentSettings, SettingsError

from sluice_warehouse.permit_leases import Leases
from sluice_warehouse.permit_ledger import Terms
from sluice_warehouse.permit_plan import PermitPlan, PlanError, parse_shares
from sluice_warehouse.permits import LONGEST_HOLD_S, MARGIN_S, ProcessPermits

log = structlog.get_logger()

_PREFIX: Final = "SLUICE_PERMIT_"


class PermitSettings(EnvironmentSettings):
    """The cap, the shares, and where permits beyond the shares are leased."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True, populate_by_name=True)

    cap: int = Field(default=5, ge=1, le=64, validation_alias=AliasChoices(f"{_PREFIX}CAP", "DB_SLOW_MAX_CONCURRENT"))
    """Statements that the warehouse's owner allows all processes together; at least 2 where no shares are set."""
    shares: str = ""
    """The reserved share of each process, `name=count,...`, together at most the cap; what is left is leased through
    Redis. Empty: one for lineage and the rest of the cap for the query engine, so that nothing is leased."""
    name: str = ""
    """The name of this process in `shares`; empty means its folder's name. Two processes never have one name."""
    redis_url: str = ""
    """Where leases are written down, `redis://...`: one server, without automatic failover. Empty: the rest is idle."""
    redis_prefix: str = ""
    """Put before the key; for several deployments on one Redis."""
    hold_s: float = Field(default=LONGEST_HOLD_S, ge=1, le=LONGEST_HOLD_S)
    """Longest a statement under a lease may run, in seconds; none runs longer than 300 s, with a lease or without."""
    margin_s: float = Field(default=MARGIN_S, ge=0.6, le=600)
    """How much longer a lease lives than its statement may, in seconds, and how far past its deadline a permit rests
    whose statement is not known to have ended: time for a cancel to be confirmed, for a server that ignores it to
    notice that nobody listens, and for clocks that differ. A sixth of it is the largest gap between two heartbeats
    that is believed."""


def open_permits(settings: PermitSettings, process: str, clock: Clock, ids: Ids, *, outlived: bool) -> ProcessPermits:
    """Return the permits of a process. Nothing waits for Redis: until it answers, the share is what there is.

    Args:
        settings: the cap and how it is divided, the same for every process.
        process: its folder's name.
        clock: for leases.
        ids: for leases.
        outlived: statements may go on in the warehouse when the process is gone, see `outlives_process`.

    Raises:
        SettingsError: the shares do not fit under the cap, or do not name this process.
    """
    try:
        plan = plan_of(settings)
        name = settings.name or process
        own = plan.share_of(name)
    except PlanError as error:
        raise SettingsError(f"{_PREFIX}*: {error}") from error
    if not settings.redis_url:
        if plan.lease_count:
            log.warning("permits beyond the shares stay idle, no Redis is set", idle_count=plan.lease_count)
        log.info("permits are counted in this process alone, it may run once", name=name, share=own)
        return ProcessPermits(own, margin_s=settings.margin_s)
    # The client is costly to import, and most processes have no leases.
    from sluice_warehouse.permits_redis import RedisLedger

    try:
        ledger = RedisLedger(settings.redis_url, prefix=settings.redis_prefix)
    except ValueError as error:
        raise SettingsError(f"{_PREFIX}REDIS_URL: {error}") from error
    leases = Leases(name, terms_of(settings, plan), ledger, clock, ids, outlived=outlived)
    return ProcessPermits(own, leases, margin_s=settings.margin_s)


def plan_of(settings: PermitSettings) -> PermitPlan:
    """Return the cap divided as set; where no shares are, among one query engine and one lineage.

    Raises:
        PlanError: the shares do not fit under the cap.
    """
    if settings.shares:
        return PermitPlan(settings.cap, parse_shares(settings.shares))
    if settings.cap < 2:
        raise PlanError("CAP (or DB_SLOW_MAX_CONCURRENT) is 1, and query-engine and lineage need one each")
    return PermitPlan(settings.cap, {"query-engine": settings.cap - 1, "lineage": 1})


def terms_of(settings: PermitSettings, plan: PermitPlan) -> Terms:
    """Return what all processes must agree on; a difference in any part is a difference of the plan."""
    text = f"cap={plan.cap};{plan.shares_text};hold_s={settings.hold_s:g};margin_s={settings.margin_s:g}"
    return Terms(text, plan.lease_count, int(settings.hold_s * 1000), int(settings.margin_s * 1000))
