"""What the query engine reads from SLUICE_QUERY_ENGINE_* at start, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import SettingsConfigDict
from sluice_rpc.settings import RpcServerSettings

_MIB = 1 << 20
_HOME = Path(__file__).resolve().parent.parent


class Settings(RpcServerSettings):
    """Settings of the query engine."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_QUERY_ENGINE_", extra="forbid", frozen=True, populate_by_name=True
    )

    listen: str = "127.0.0.1:7101"
    """Address of the gRPC server, `host:port`."""
    worker_thread_count: int = Field(default=32, ge=2, le=256)
    """Threads that answer RPCs, those that only watch included."""
    max_watcher_count: int = Field(default=16, ge=1)
    """Streams that watch queries; one more is refused. Must be below `worker_thread_count`."""
    warehouse_url: str
    """Where rows come from: `oracle://user@host:port/service`, see `SLUICE_WAREHOUSE_*`, or
    `duckdb:///absolute/path.duckdb`. It need not be there when the process starts."""
    cache_target: str = "127.0.0.1:7103"
    """The cache process, `host:port`. It need not be there when the process starts."""
    lineage_target: str = "127.0.0.1:7102"
    """The lineage process, `host:port`: it resolves containers and computes genealogies and events. It need not be
    there when the process starts; empty leaves every table that lineage computes missing."""
    redis_url: str = ""
    """Where progress, query records and leases on chunks are shared, `redis://...`; empty keeps them in memory, and
    then two engines may read the same chunk at once."""
    redis_prefix: str = ""
    """Put before every key; for several deployments on one Redis."""
    datasets_dir: Path = _HOME / "datasets"
    """Folder of dataset folders."""
    references_dir: Path = _HOME / "references"
    """Folder of reference folders."""
    compiled_dir: Path | None = None
    """Folder for what the SQL of datasets was found to yield, so that only what has changed is compiled at the next
    start; made if it is missing, and safe to lose. Unset compiles everything at every start."""
    pool_size: int = Field(default=4, ge=1, le=64)
    """Short look-ups at once, for references."""
    permit_wait_s: float = Field(default=60.0, gt=0)
    """Longest wait for a permit, in seconds; then the chunk fails with PERMITS_EXHAUSTED."""
    chunk_max_memory_mb: int = Field(
        default=256,
        ge=1,
        validation_alias=AliasChoices("SLUICE_QUERY_ENGINE_CHUNK_MAX_MEMORY_MB", "BATCH_CHUNK_MAX_MEMORY_MB"),
    )
    """Most MiB of one chunk, counted as its IPC stream passes; past it the statement is cancelled."""
    stage_max_memory_mb: int = Field(default=1024, ge=1)
    """Most MiB of one table that lineage computes, counted as its IPC stream passes; past it the table is missing."""
    stage_deadline_s: float = Field(default=1500.0, gt=0)
    """Time of one table that lineage computes, in seconds: of a year's lots it takes a statement for each 1,000 ids."""
    query_time_threshold_days: int = Field(
        default=60,
        ge=1,
        validation_alias=AliasChoices(
            "SLUICE_QUERY_ENGINE_QUERY_TIME_THRESHOLD_DAYS", "BATCH_QUERY_TIME_THRESHOLD_DAYS"
        ),
    )
    """Missing days up to which one statement reads them; a dataset's `direct_max_days` stands above it."""
    query_id_threshold: int = Field(
        default=1000,
        ge=1,
        le=1000,
        validation_alias=AliasChoices("SLUICE_QUERY_ENGINE_QUERY_ID_THRESHOLD", "BATCH_QUERY_ID_THRESHOLD"),
    )
    """Missing ids up to which one statement reads them; a dataset's `direct_max_ids` stands above it."""
    query_rows_per_chunk: int = Field(
        default=50_000,
        ge=1,
        validation_alias=AliasChoices("SLUICE_QUERY_ENGINE_QUERY_ROWS_PER_CHUNK", "BATCH_QUERY_ROWS_PER_CHUNK"),
    )
    """Rows of a page, for parts that are read in pages; a dataset's `rows_per_chunk` stands above it."""
    query_grain_days: int = Field(default=31, ge=1)
    """Width of the chunks of what is cut by time, in days. A dataset's `grain_days` stands above it."""
    dataset_limits: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Limits by dataset that stand above those of its folder, as JSON: `{"hold-history": {"grain_days": 10}}`."""
    chunk_max_parallel: int = Field(default=8, ge=1, le=64)
    """Most chunks of one query at once, whatever its dataset asks for; free permits bound it further."""
    chunk_deadline_s: float = Field(default=300.0, gt=0)
    """Time of one chunk with its retry and its waits, for another engine that reads it and for a permit, in seconds. No
    statement runs longer than 300 s."""
    chunk_retry_count: int = Field(default=10, ge=0, le=1000)
    """Second attempts of chunks that all queries share; ten chunks read well give one back. 0 never tries again."""
    max_running_query_count: int = Field(default=16, ge=1, le=256)
    """Queries that run at once; one more is refused with RATE_LIMITED."""
    refreshes_snapshots: bool = True
    """Whether this engine reads snapshots again when they are due; one that does not answers from what others read."""
    warms_up: bool = True
    """Whether this engine reads the usual ranges of datasets that declare one before anybody asks."""
    abandon_after_s: float = Field(default=60.0, gt=0)
    """A running query that nobody watched or asked for this long is cancelled, in seconds."""
    watcher_grace_s: float = Field(default=3.0, ge=0)
    """Seconds after its only watcher left until a running query is cancelled; a broken connection is back sooner."""
    query_deadline_s: float = Field(default=1800.0, gt=0)
    """Time of one query, in seconds; what has not been read by then is named as missing, QUERY_TIMEOUT."""
    warehouse_memory_limit_bytes: int = Field(default=256 * _MIB, ge=32 * _MIB)
    """Most memory of an embedded warehouse: its buffers, joins and sorts. Besides, every statement makes up to 1 MB of
    rows ahead of whoever takes them. Three chunks of 10 M holds at once do with 48 MiB."""
    warehouse_thread_count: int = Field(default=1, ge=1, le=64)
    """Threads of an embedded warehouse for each statement; chunks already run side by side."""
    statement_log: Path | None = None
    """File to which an embedded warehouse appends a line for each statement that starts and ends."""
    fault_file: Path | None = None
    """File that tells an embedded warehouse what shall go wrong; for tests of a running suite."""

    @model_validator(mode="after")
    def _watchers_leave_threads(self) -> Self:
        if self.max_watcher_count >= self.worker_thread_count:
            raise ValueError("max_watcher_count must be below worker_thread_count, or watching would stop answering")
        return self
