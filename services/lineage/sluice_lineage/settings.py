"""What lineage reads from SLUICE_LINEAGE_* at start, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict

from sluice_lineage.event_settings import EventSettings

_MIB = 1 << 20
_PREFIX = "SLUICE_LINEAGE_"


class Settings(EventSettings):
    """Settings of the lineage process."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True, populate_by_name=True)

    listen: str = "127.0.0.1:7102"
    """Address of the gRPC server, `host:port`."""
    warehouse_url: str
    """Where rows come from: `oracle://user@host:port/service`, see `SLUICE_WAREHOUSE_*`, or
    `duckdb:///absolute/path.duckdb`. It need not be there when the process starts."""
    ancestor_walk: Literal["connect_by", "recursive_with"] = "connect_by"
    """How Oracle walks to split ancestors; both give the same answer. DuckDB has no CONNECT BY and takes the second."""
    permit_wait_s: float = Field(default=60.0, gt=0)
    """Longest wait for a permit, in seconds; then the call fails with PERMITS_EXHAUSTED."""
    statement_timeout_s: float = Field(default=300.0, gt=0)
    """Deadline of a call whose caller set none, in seconds. No statement runs longer than 300 s."""
    max_id_count: int = Field(default=200_000, ge=1)
    """Most container ids in one request."""
    max_response_bytes: int = Field(default=4 * _MIB - 64 * 1024, ge=1024)
    """Largest answer. gRPC clients refuse messages above 4 MiB; a larger answer is refused here with its reason."""
    max_pattern_count: int = Field(default=100, ge=1)
    """Most values with a wildcard in one request that resolves containers; exact ones have `MAX_ID_COUNT`."""
    resolve_prefix_length: int = Field(
        default=2,
        ge=2,
        validation_alias=AliasChoices(f"{_PREFIX}RESOLVE_PREFIX_LENGTH", "CONTAINER_RESOLVE_PATTERN_MIN_PREFIX_LEN"),
    )
    """Characters that a value has before its wildcard, at least."""
    resolve_rail_per_value: int = Field(
        default=2000,
        ge=1,
        validation_alias=AliasChoices(f"{_PREFIX}RESOLVE_RAIL_PER_VALUE", "CONTAINER_RESOLVE_MAX_EXPANSION_PER_TOKEN"),
    )
    """Containers of one value above which an answer is flagged; nothing is refused."""
    resolve_rail_containers: int = Field(
        default=30_000,
        ge=1,
        validation_alias=AliasChoices(f"{_PREFIX}RESOLVE_RAIL_CONTAINERS", "CONTAINER_RESOLVE_MAX_CONTAINER_IDS"),
    )
    """Containers of an answer above which it is flagged; nothing is refused."""
    resolve_max_row_count: int = Field(default=1_000_000, ge=1000)
    """Most rows of values and their containers in one answer; they take some eighty bytes each while they are put
    together."""
    resolve_any_case_max_count: int = Field(default=1000, ge=0)
    """Most orders and rework lots not found that are looked for once more whatever the case of the names, by reading a
    whole table; 0 never does."""
    resolve_ttl_s: float = Field(default=60.0, gt=0)
    """How long values stay resolved, in seconds."""
    resolve_heavy_ttl_s: float = Field(default=900.0, gt=0)
    """The same of requests with a wildcard or with more than 1000 values, which cost more to repeat."""
    resolve_keep_max_bytes: int = Field(default=64 * _MIB, ge=_MIB)
    """Largest resolution that is kept."""
    max_node_count: int = Field(default=1_000_000, ge=1)
    """Most containers in one genealogy besides those asked for; what lies beyond is cut and listed."""
    edge_settled_ttl_s: float = Field(default=86_400.0, gt=0)
    """How long a container and the lot it was split from may be reused, in seconds; neither changes later."""
    edge_ttl_s: float = Field(default=900.0, gt=0)
    """How long other edges may be reused, in seconds: what was split from a lot or merged, and that there is no lot."""
    edge_memory_bytes: int = Field(default=512 * _MIB, ge=_MIB)
    """Edges kept in the memory of this process; past it they are dropped before the next request."""
    edge_shared_batch_count: int = Field(default=3, ge=0)
    """Batches of 1000 ids above which splits downwards and merges, without an index, are read whole once and kept."""
    warehouse_memory_limit_bytes: int = Field(default=256 * _MIB, ge=64 * _MIB)
    """Buffers of an embedded warehouse."""
    warehouse_thread_count: int = Field(default=2, ge=1, le=64)
    """Threads of an embedded warehouse."""
    statement_log: Path | None = None
    """File to which an embedded warehouse appends a line for each statement that starts and ends."""
    fault_file: Path | None = None
    """File that tells an embedded warehouse what shall go wrong; for tests of a running suite."""

    @property
    def ancestor_alternative(self) -> str:
        """The text of the walk that this warehouse understands."""
        return self.ancestor_walk if self.warehouse_url.startswith("oracle:") else "recursive_with"
