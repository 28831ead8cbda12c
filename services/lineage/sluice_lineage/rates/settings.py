"""How often one client may ask for the events of each domain, from SLUICE_RATE_*."""

from __future__ import annotations

from typing import Final

from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict
from sluice_rpc.settings import EnvironmentSettings

from sluice_lineage.rates.limits import Rate

_PREFIX: Final = "SLUICE_RATE_"

_BUCKETS: Final = {
    "history": "event-history",
    "materials": "event-materials",
    "rejects": "event-rejects",
    "holds": "event-holds",
    "jobs": "event-jobs",
    "upstream_history": "event-upstream",
    "downstream_rejects": "event-downstream-rejects",
}
"""Bucket of each domain, as keys and refusals name it."""


def _own_or(name: str, alias: str) -> AliasChoices:
    return AliasChoices(f"{_PREFIX}{name}", alias)


class RateSettings(EnvironmentSettings):
    """Requests per window of each domain."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True, populate_by_name=True)

    enabled: bool = True
    """Whether requests are counted at all."""
    history_max_requests: int = Field(
        default=20, ge=1, validation_alias=_own_or("HISTORY_MAX_REQUESTS", "EVT_HISTORY_RATE_MAX_REQUESTS")
    )
    """Requests for events of domain history that one client may make in a window."""
    history_window_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        validation_alias=_own_or("HISTORY_WINDOW_SECONDS", "EVT_HISTORY_RATE_WINDOW_SECONDS"),
    )
    """Length of that window, in seconds."""
    materials_max_requests: int = Field(
        default=20, ge=1, validation_alias=_own_or("MATERIALS_MAX_REQUESTS", "EVT_MATERIALS_RATE_MAX_REQUESTS")
    )
    """Requests for events of domain materials that one client may make in a window."""
    materials_window_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        validation_alias=_own_or("MATERIALS_WINDOW_SECONDS", "EVT_MATERIALS_RATE_WINDOW_SECONDS"),
    )
    """Length of that window, in seconds."""
    rejects_max_requests: int = Field(
        default=20, ge=1, validation_alias=_own_or("REJECTS_MAX_REQUESTS", "EVT_REJECTS_RATE_MAX_REQUESTS")
    )
    """Requests for events of domain rejects that one client may make in a window."""
    rejects_window_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        validation_alias=_own_or("REJECTS_WINDOW_SECONDS", "EVT_REJECTS_RATE_WINDOW_SECONDS"),
    )
    """Length of that window, in seconds."""
    holds_max_requests: int = Field(
        default=20, ge=1, validation_alias=_own_or("HOLDS_MAX_REQUESTS", "EVT_HOLDS_RATE_MAX_REQUESTS")
    )
    """Requests for events of domain holds that one client may make in a window."""
    holds_window_seconds: int = Field(
        default=60, ge=1, le=86_400, validation_alias=_own_or("HOLDS_WINDOW_SECONDS", "EVT_HOLDS_RATE_WINDOW_SECONDS")
    )
    """Length of that window, in seconds."""
    jobs_max_requests: int = Field(
        default=20, ge=1, validation_alias=_own_or("JOBS_MAX_REQUESTS", "EVT_JOBS_RATE_MAX_REQUESTS")
    )
    """Requests for events of domain jobs that one client may make in a window."""
    jobs_window_seconds: int = Field(
        default=60, ge=1, le=86_400, validation_alias=_own_or("JOBS_WINDOW_SECONDS", "EVT_JOBS_RATE_WINDOW_SECONDS")
    )
    """Length of that window, in seconds."""
    upstream_history_max_requests: int = Field(
        default=20, ge=1, validation_alias=_own_or("UPSTREAM_HISTORY_MAX_REQUESTS", "EVT_UPSTREAM_RATE_MAX_REQUESTS")
    )
    """Requests for events of domain upstream_history that one client may make in a window."""
    upstream_history_window_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        validation_alias=_own_or("UPSTREAM_HISTORY_WINDOW_SECONDS", "EVT_UPSTREAM_RATE_WINDOW_SECONDS"),
    )
    """Length of that window, in seconds."""
    downstream_rejects_max_requests: int = Field(
        default=20,
        ge=1,
        validation_alias=_own_or("DOWNSTREAM_REJECTS_MAX_REQUESTS", "EVT_DOWNSTREAM_REJECTS_RATE_MAX_REQUESTS"),
    )
    """Requests for events of domain downstream_rejects that one client may make in a window."""
    downstream_rejects_window_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        validation_alias=_own_or("DOWNSTREAM_REJECTS_WINDOW_SECONDS", "EVT_DOWNSTREAM_REJECTS_RATE_WINDOW_SECONDS"),
    )
    """Length of that window, in seconds."""

    def by_domain(self) -> dict[str, Rate]:
        """Return the limit of each domain."""
        values = self.model_dump()
        return {
            domain: Rate(bucket, values[f"{domain}_max_requests"], values[f"{domain}_window_seconds"])
            for domain, bucket in _BUCKETS.items()
        }
