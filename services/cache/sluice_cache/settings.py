"""What the cache reads from SLUICE_CACHE_* at start, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from sluice_rpc.settings import RpcServerSettings

_MIB = 1 << 20


class Settings(RpcServerSettings):
    """Settings of the cache process."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_CACHE_", extra="forbid", frozen=True, populate_by_name=True)

    listen: str = "127.0.0.1:7103"
    """Address of the gRPC server, `host:port`."""
    data_dir: Path = Path("var/cache")
    """Folder of hot frames, spool, sidecars and DuckDB's temporary files. One process at a time."""
    spool_dir: Path | None = None
    """Folder of the spool, if not `spool` in `data_dir`; cache processes that share a Redis may share it."""
    redis_url: str = ""
    """Redis of the second tier, `redis://host:port/db`; empty switches the tier off."""
    redis_prefix: str = ""
    """Put before every key; for several deployments on one Redis."""
    redis_max_frame_bytes: int = Field(default=64 * _MIB, ge=0)
    """Frames above this many decoded bytes never go to Redis."""
    redis_max_bytes: int = Field(default=1024 * _MIB, ge=0)
    """Most bytes of frames that this process keeps in Redis; past it its oldest go from there."""
    memory_max_bytes: int = Field(default=2048 * _MIB, ge=16 * _MIB)
    """Budget of the first tier: hot files and DuckDB's tables together. Past it the least recently used move down."""
    native_max_bytes: int = Field(default=768 * _MIB, ge=0)
    """Share of `memory_max_bytes` that DuckDB's own tables of derived frames may take; 0 reads every frame in place."""
    rss_limit_bytes: int = Field(default=0, ge=0)
    """Most memory of the process without the pages of mapped files; 0 takes 80 % of the machine or the container."""
    rss_warn_ratio: float = Field(default=0.70, gt=0, le=1)
    """From this part of the limit on, a warning is logged."""
    rss_evict_ratio: float = Field(default=0.85, gt=0, le=1)
    """From this part on, what can be made again is given up: DuckDB's own tables, kept results, mappings."""
    rss_refuse_ratio: float = Field(default=0.95, gt=0, le=1)
    """From this part on, puts and statements are refused with MEMORY_PRESSURE."""
    system_evict_ratio: float = Field(default=0.85, gt=0, le=1)
    """As `rss_evict_ratio`, of the memory of the machine or the container that is in use, whoever uses it."""
    system_refuse_ratio: float = Field(default=0.92, gt=0, le=1)
    """As `rss_refuse_ratio`, of the memory of the machine or the container that is in use, whoever uses it."""
    rss_relief_ratio: float = Field(default=0.05, ge=0, lt=1)
    """So far below a threshold the process must come before it leaves that rung."""
    rss_check_interval_s: float = Field(default=1.0, gt=0)
    """Seconds between two looks at the memory; every put and statement looks too."""
    rss_evict_pause_s: float = Field(default=15.0, ge=0)
    """Least seconds between two rounds of giving up."""
    spill_row_count: int = Field(default=5_000_000, ge=1)
    """Frames with more rows go straight to the spool."""
    spill_bytes: int = Field(default=1024 * _MIB, ge=1)
    """Frames with more decoded bytes go straight to the spool."""
    spool_max_bytes: int = Field(default=20 * 1024 * _MIB, ge=0)
    """Byte cap of the spool; past it nothing more is kept there. A warning is logged from 85 %."""
    unpacked_max_bytes: int = Field(default=4096 * _MIB, ge=0)
    """Disk that mapped copies of spooled frames may take, beside the spool; 0 has every statement read Parquet."""
    default_keep_s: float = Field(default=900.0, gt=0)
    """How long a frame is kept whose trailer names no time, in seconds."""
    duckdb_memory_limit_bytes: int = Field(default=2048 * _MIB, ge=64 * _MIB)
    """Memory of the DuckDB that derives tables, its own tables included; beyond it they spill to disk, then fail."""
    derive_memory_bytes: int = Field(default=0, ge=0)
    """Memory that deriving one table may take; a larger table that allows it is derived in passes. 0 takes what
    `native_max_bytes` leaves of `duckdb_memory_limit_bytes`."""
    statement_memory_bytes: int = Field(default=512 * _MIB, ge=64 * _MIB)
    """Memory of the DuckDB of all other statements; beyond it they spill to disk, then fail."""
    duckdb_temp_max_bytes: int = Field(default=8 * 1024 * _MIB, ge=0)
    """Disk that statements may spill to."""
    duckdb_threads: int = Field(default=0, ge=0, le=256)
    """Threads of DuckDB; 0 takes one per core."""
    max_result_row_count: int = Field(default=20_000_000, ge=1)
    """Most rows of one statement's table when the caller names no limit."""
    max_result_bytes: int = Field(default=8 * 1024 * _MIB, ge=1)
    """Most decoded bytes of one statement's table when the caller names no limit; a caller's own is never above it."""
    result_max_bytes: int = Field(default=64 * _MIB, ge=0)
    """Share of `memory_max_bytes` that tables of earlier statements may take; 0 keeps none."""
    apart_count: int = Field(default=2, ge=1, le=64)
    """Processes for statements that build values of their own (texts, lists, recursion), or name a memory limit."""
    apart_memory_bytes: int = Field(default=768 * _MIB, ge=64 * _MIB)
    """Memory of one such statement; the system refuses it more. A caller's own limit is never above it."""
    statement_timeout_s: float = Field(default=300.0, gt=0)
    """Time of a RunQuery whose caller set no deadline, in seconds."""
    sweep_interval_s: float = Field(default=60.0, gt=0)
    """Seconds between sweeps of what has expired."""
    orphan_grace_s: float = Field(default=600.0, ge=0)
    """Files that no frame names are kept this long after their last write, in seconds."""

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value

    @model_validator(mode="after")
    def _rungs_ascend(self) -> Self:
        if not self.rss_warn_ratio <= self.rss_evict_ratio <= self.rss_refuse_ratio:
            raise ValueError("rss_warn_ratio, rss_evict_ratio and rss_refuse_ratio must ascend")
        if self.system_evict_ratio > self.system_refuse_ratio:
            raise ValueError("system_evict_ratio must not be above system_refuse_ratio")
        return self

    @model_validator(mode="after")
    def _native_fits(self) -> Self:
        if self.native_max_bytes > self.memory_max_bytes:
            raise ValueError("native_max_bytes is a share of memory_max_bytes and must not be larger")
        if self.native_max_bytes > self.duckdb_memory_limit_bytes // 2:
            raise ValueError("native_max_bytes may take at most half of duckdb_memory_limit_bytes")
        return self
