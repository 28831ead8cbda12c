"""How a process reads its settings: once, from its own prefix, with every misspelt name refused."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """The environment does not make valid settings; the message names each variable and the fix."""


class EnvironmentSettings(BaseSettings):
    """Settings with one prefix in the environment; a name with the prefix that is no setting is refused."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @classmethod
    def load(cls, **given: str) -> Self:
        """Return the settings of the environment.

        Args:
            given: settings by name that stand above it, from a command line.

        Raises:
            SettingsError: a value does not fit, or a variable with the process's prefix names no setting.
        """
        unknown = sorted(cls._unknown_variables())
        if unknown:
            known = ", ".join(sorted(cls.variable_names()))
            raise SettingsError(f"unknown setting {', '.join(unknown)}; known are {known}")
        try:
            return cls(**given)
        except ValidationError as error:
            problems = [f"{cls._variable_of(item['loc'])}: {item['msg']}" for item in error.errors()]
            raise SettingsError("; ".join(problems)) from None

    @classmethod
    def variable_names(cls) -> dict[str, list[str]]:
        """Return each setting's environment variables: its own first, then accepted aliases."""
        names = {}
        prefix = str(cls.model_config.get("env_prefix", "")).upper()
        for name, field in cls.model_fields.items():
            own = f"{prefix}{name.upper()}"
            alias = field.validation_alias
            others = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else []
            names[own] = [own, *(choice for choice in others if choice not in (own, name))]
        return names

    @classmethod
    def _variable_of(cls, location: tuple[int | str, ...]) -> str:
        # Pydantic names a field, or the first of its aliases whichever was set; people know variables only.
        first = str(location[0]) if location else "settings"
        prefix = str(cls.model_config.get("env_prefix", "")).upper()
        own = f"{prefix}{first.upper()}" if first in cls.model_fields else first
        return " or ".join(next((names for names in cls.variable_names().values() if own in names), [own]))

    @classmethod
    def _unknown_variables(cls) -> set[str]:
        # `extra="forbid"` does not see environment variables, so a typo would silently keep the default.
        prefix = str(cls.model_config.get("env_prefix", "")).upper()
        known = {name for names in cls.variable_names().values() for name in names}
        return {name for name in os.environ if name.upper().startswith(prefix) and name not in known}


class ProcessSettings(EnvironmentSettings):
    """What every process reads at start, and nowhere else."""

    listen: str = "127.0.0.1:0"
    """Address of the server, `host:port`; port 0 takes a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe line that is written."""
    log_style: Literal["auto", "json", "console"] = "auto"
    """Form of log lines; auto is console on a terminal and JSON elsewhere."""
    stop_grace_s: float = Field(default=5.0, ge=0)
    """How long in-flight calls may finish after SIGTERM, in seconds."""


class RpcServerSettings(ProcessSettings):
    """What every process with a gRPC server reads besides."""

    metrics_listen: str = ""
    """Address of the Prometheus port, `host:port`; empty switches it off."""
    worker_thread_count: int = Field(default=16, ge=2, le=256)
    """Threads that answer RPCs."""
    max_concurrent_rpc_count: int = Field(default=64, ge=2)
    """RPCs in flight or waiting; one more is refused with RESOURCE_EXHAUSTED."""
