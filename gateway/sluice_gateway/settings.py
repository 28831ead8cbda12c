"""What the gateway reads from SLUICE_GATEWAY_* at start, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from sluice_rpc.settings import ProcessSettings


class Settings(ProcessSettings):
    """Settings of the gateway process."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_GATEWAY_", extra="forbid", frozen=True, populate_by_name=True)

    listen: str = "127.0.0.1:8080"
    """Address of the HTTP server, `host:port`; port 0 takes a free one."""
    query_engine_target: str = "127.0.0.1:7101"
    """Address of the query-engine, `host:port`."""
    lineage_target: str = "127.0.0.1:7102"
    """Address of lineage, `host:port`."""
    cache_target: str = "127.0.0.1:7103"
    """Address of the cache, `host:port`; asked for its health and its counts only."""
    root_path: str = ""
    """Path under which a proxy shows the gateway, for example `/sluice`; empty for none."""
    max_body_bytes: int = Field(default=8 << 20, ge=1024)
    """Longest request body; a longer one is refused with 413."""
    identity_header: str = ""
    """Header in which a trusted proxy names the user; empty means that everybody is anonymous."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Comma-separated addresses of peers whose identity header counts."""
    client_address_header: str = ""
    """Header in which a trusted proxy names the address of its client, for example `X-Forwarded-For`; the first of a
    list counts. Rate limits count by user, and by this address where there is no user; empty takes the peer's."""
    call_timeout_s: float = Field(default=10.0, gt=0)
    """Deadline of calls that return at once: definitions, plan, start, state, cancel, retry."""
    view_timeout_s: float = Field(default=310.0, gt=0)
    """Deadline of views and options. A click takes milliseconds; the first one waits until its table is derived."""
    initial_views_min_s: float = Field(default=5.0, ge=0)
    """What the views of a query's own answer get though its wait was spent on the chunks; longer ones are fetched."""
    export_timeout_s: float = Field(default=900.0, gt=0)
    """Deadline of exports and frames, from the first byte to the last."""
    lineage_timeout_s: float = Field(default=310.0, gt=0)
    """Deadline of lineage calls; they may run a warehouse statement, which has 300 s."""
    event_timeout_s: float = Field(default=900.0, gt=0)
    """Deadline of a request for events, from the first byte to the last."""
    json_max_row_count: int = Field(default=500_000, ge=1)
    """Most rows of one table of containers or of a genealogy in JSON; an Arrow stream has no such limit."""
    health_timeout_s: float = Field(default=2.0, gt=0)
    """Deadline of one health check."""
    health_ttl_s: float = Field(default=1.0, ge=0)
    """How long one look at all parts is shown to everybody who asks for `/health`."""
    events_max_s: float = Field(default=3600.0, gt=0)
    """Longest stream of progress events; a browser connects again by itself."""
    keep_alive_s: float = Field(default=15.0, gt=0)
    """Silence after which a progress stream sends a comment, so that proxies keep it open."""
    definitions_ttl_s: float = Field(default=30.0, ge=0)
    """How long dataset definitions are taken as known."""
    export_thread_count: int = Field(default=4, ge=1, le=64)
    """Exports that are encoded at the same time; further ones wait."""
    saved_file: Path = Path("var/gateway/saved.sqlite")
    """SQLite file of saved views and short links, made when the first is kept; gateways of one machine may share it."""
    keep_links_days: int = Field(default=400, ge=1)
    """How long a short link is kept that nobody opens."""
    most_saved_views: int = Field(default=500, ge=1)
    """Views that one person may keep."""
    most_links: int = Field(default=100_000, ge=1)
    """Short links in all; past it those go that nobody opened for longest."""
    saved_per_minute: int = Field(default=60, ge=1)
    """Views and links that one client may keep or forget in a minute."""
    spreadsheet_count: int = Field(default=2, ge=1, le=64)
    """Spreadsheets that are written at the same time, each on a thread of its own; further ones wait."""
    spreadsheet_dir: Path | None = None
    """Folder in which spreadsheets are written before they are sent; a million wide rows take about 2 GB. Empty: the
    system's folder for temporary files."""

    @field_validator("listen", "query_engine_target", "lineage_target", "cache_target")
    @classmethod
    def _has_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError("must be host:port")
        return value

    @field_validator("root_path")
    @classmethod
    def _starts_with_slash(cls, value: str) -> str:
        if value and (not value.startswith("/") or value.endswith("/")):
            raise ValueError("must start with a slash and not end with one")
        return value
