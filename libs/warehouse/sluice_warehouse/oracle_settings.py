"""What the Oracle warehouse reads from SLUICE_WAREHOUSE_* at start; every process that runs statements reads the same.

The names that the warehouse's owner may know (DB_POOL_SIZE, CIRCUIT_BREAKER_FAILURE_THRESHOLD ...) are accepted too.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict
from sluice_rpc.settings import EnvironmentSettings

_PREFIX = "SLUICE_WAREHOUSE_"


def _also(name: str, older: str) -> AliasChoices:
    return AliasChoices(f"{_PREFIX}{name}", older)


class OracleSettings(EnvironmentSettings):
    """How sessions on Oracle are opened, bounded and given up."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True, populate_by_name=True)

    password: SecretStr = SecretStr("")
    """Password of the URL's user; prefer `password_file`."""
    password_file: Path | None = None
    """File whose first line is the password; read at each logon, so that it may change while the process runs."""
    refused_password_rest_s: float = Field(default=86_400.0, ge=0)
    """How long a password that was refused is not tried again, in seconds, by each process: Oracle locks an account
    after a few refusals, whoever they come from. One whose file was written since is tried at once."""
    refused_account_rest_s: float = Field(default=60.0, ge=0)
    """The same where the account is locked or its password has expired, until the DBA has put it right."""
    connect_timeout_s: float = Field(
        default=10.0, gt=0, validation_alias=_also("CONNECT_TIMEOUT_S", "DB_TCP_CONNECT_TIMEOUT")
    )
    """Longest wait for the TCP connection to the listener, in seconds."""
    logon_timeout_s: float = Field(default=20.0, gt=0)
    """Longest wait for a whole logon, retries included, in seconds: the driver itself waits for ever once connected."""
    connect_retry_count: int = Field(
        default=1, ge=0, le=10, validation_alias=_also("CONNECT_RETRY_COUNT", "DB_CONNECT_RETRY_COUNT")
    )
    """How often a refused or unanswered TCP connection is tried again."""
    connect_retry_delay_s: int = Field(
        default=1, ge=0, validation_alias=_also("CONNECT_RETRY_DELAY_S", "DB_CONNECT_RETRY_DELAY")
    )
    """Pause before such a retry, in whole seconds."""
    keepalive_min: int = Field(default=2, ge=1)
    """Minutes after which an idle connection is probed, so that a server that vanished is noticed."""
    call_timeout_ms: int = Field(default=55_000, ge=10, validation_alias=_also("CALL_TIMEOUT_MS", "DB_CALL_TIMEOUT_MS"))
    """Longest silence of the server in one round trip of a short look-up, in milliseconds."""
    slow_call_timeout_ms: int = Field(
        default=300_000, ge=10, validation_alias=_also("SLOW_CALL_TIMEOUT_MS", "DB_SLOW_CALL_TIMEOUT_MS")
    )
    """The same for chunks, lineage and events."""
    cancel_grace_s: float = Field(default=5.0, gt=0)
    """How long the server may take to confirm a cancel or a logoff, in seconds; then the connection is cut."""
    pool_min: int = Field(default=0, ge=0, le=64)
    """Connections for short look-ups that are kept open."""
    pool_max: int = Field(default=4, ge=1, le=64, validation_alias=_also("POOL_MAX", "DB_POOL_SIZE"))
    """Most connections for short look-ups."""
    pool_increment: int = Field(default=1, ge=1, le=64)
    """Connections opened at once when one is wanted and none is free."""
    pool_wait_ms: int = Field(default=5_000, ge=1)
    """Longest wait for a pooled connection, in milliseconds; then POOL_EXHAUSTED."""
    pool_ping_interval_s: int = Field(default=60, ge=0)
    """A connection idle this long is probed before it is used, in seconds; 0 probes always."""
    pool_ping_timeout_ms: int = Field(default=5_000, ge=1)
    """Longest wait for the answer of that probe, in milliseconds."""
    pool_idle_s: int = Field(default=300, ge=0)
    """Connections above `pool_min` that are idle this long are closed, in seconds; 0 keeps them."""
    pool_max_lifetime_s: int = Field(
        default=1_800, ge=0, validation_alias=_also("POOL_MAX_LIFETIME_S", "DB_POOL_RECYCLE")
    )
    """A connection this old is closed when it is given back, in seconds; 0 keeps it."""
    health_wait_s: float = Field(default=2.0, gt=0)
    """How long a health check waits for the one before it, in seconds."""
    health_call_timeout_ms: int = Field(default=10_000, ge=10, le=10_000)
    """Longest silence of the server in a health check, in milliseconds."""
    batch_row_count: int = Field(default=8_192, ge=1, le=65_536)
    """Rows of one round trip; they are what a reading holds in memory."""
    # A year of 9.2 M rejects, two chunks at once, grew the engine by 31 MiB; with twice as many rows by 53 MiB, and it
    # took no less time.
    sdu_bytes: int = Field(default=65_535, ge=512, le=2_097_152)
    """Size of packets asked of the server, in bytes."""
    reconnect_budget: int = Field(default=10, ge=0)
    """Dead pooled connections that may be replaced unseen within a minute; past it the caller sees the failure."""
    breaker_enabled: bool = Field(default=True, validation_alias=_also("BREAKER_ENABLED", "CIRCUIT_BREAKER_ENABLED"))
    """Whether a warehouse that fails repeatedly is left alone for a while."""
    breaker_failure_threshold: int = Field(
        default=5, ge=1, validation_alias=_also("BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_FAILURE_THRESHOLD")
    )
    """Failures in the window from which the breaker may open."""
    breaker_failure_rate: float = Field(
        default=0.5, gt=0, le=1, validation_alias=_also("BREAKER_FAILURE_RATE", "CIRCUIT_BREAKER_FAILURE_RATE")
    )
    """Share of failures in the window from which it opens."""
    breaker_recovery_s: float = Field(
        default=30.0, gt=0, validation_alias=_also("BREAKER_RECOVERY_S", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT")
    )
    """How long it stays open before one probe is let through, in seconds."""
    breaker_window_size: int = Field(
        default=10, ge=1, validation_alias=_also("BREAKER_WINDOW_SIZE", "CIRCUIT_BREAKER_WINDOW_SIZE")
    )
    """Latest results that are judged."""

    def secret(self) -> str:
        """Return the password.

        Raises:
            OSError: its file cannot be read.
        """
        if self.password_file is None:
            return self.password.get_secret_value()
        return self.password_file.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")

    def written_ns(self) -> int:
        """Return when the password's file was written last; 0 where there is none.

        Raises:
            OSError: it is not there.
        """
        return 0 if self.password_file is None else self.password_file.stat().st_mtime_ns
