"""The settings of lineage that only events need, and where it keeps what it may give again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import AliasChoices, Field
from sluice_rpc.settings import RpcServerSettings

_MIB: Final = 1 << 20
_PREFIX: Final = "SLUICE_LINEAGE_EVENT_"


class EventSettings(RpcServerSettings):
    """Part of the settings of the lineage process."""

    cache_target: str = ""
    """The cache process, `host:port`: where events, edges and resolved values are kept and frames of ids are read. It
    need not be there when the process starts; empty keeps nothing."""
    redis_url: str = ""
    """Where it is noted which events are kept and requests are counted, `redis://...`; empty: in this process alone."""
    redis_prefix: str = ""
    """Put before every key; for several deployments on one Redis."""
    domains_dir: Path = Path(__file__).resolve().parents[1] / "domains"
    """Folder of event domains."""
    event_max_workers: int = Field(
        default=2, ge=1, le=16, validation_alias=AliasChoices(f"{_PREFIX}MAX_WORKERS", "EVENT_FETCHER_MAX_WORKERS")
    )
    """Statements of one request for events at once; fewer where fewer permits are free, and one is left to others."""
    event_max_domains: int = Field(
        default=2, ge=1, le=16, validation_alias=AliasChoices(f"{_PREFIX}MAX_DOMAINS", "TRACE_EVENTS_MAX_WORKERS")
    )
    """Domains of one request, told by its id, that are read at once; the others wait for their turn."""
    event_cache_skip_id_count: int = Field(
        default=10_000,
        ge=0,
        validation_alias=AliasChoices(f"{_PREFIX}CACHE_SKIP_ID_COUNT", "EVENT_FETCHER_CACHE_SKIP_CID_THRESHOLD"),
    )
    """Containers above which the answer about events is not kept."""
    event_max_total_rows: int = Field(
        default=500_000,
        ge=1,
        validation_alias=AliasChoices(f"{_PREFIX}MAX_TOTAL_ROWS", "EVENT_FETCHER_MAX_TOTAL_ROWS"),
    )
    """Rows at which an answer of records stops; Arrow streams have no such limit."""
    event_allow_partial: bool = Field(
        default=False,
        validation_alias=AliasChoices(f"{_PREFIX}ALLOW_PARTIAL", "EVENT_FETCHER_ALLOW_PARTIAL_RESULTS"),
    )
    """Whether events are answered with what could be read when some batches fail; callers may say otherwise."""
    event_batch_timeout_s: float = Field(default=60.0, gt=0, le=300)
    """Longest that one statement for events may run, in seconds, by the wall clock and with its rows fetched."""
    event_timeout_s: float = Field(default=1800.0, gt=0)
    """Deadline of a request for events whose caller set none, in seconds."""
    event_keep_max_bytes: int = Field(default=256 * _MIB, ge=_MIB)
    """Largest answer about events that is kept."""
