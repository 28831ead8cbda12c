"""What the client side reads from the environment, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_URL = "http://127.0.0.1:8080"
"""Where a gateway listens that nobody configured otherwise."""


class Settings(BaseSettings):
    """What the `sluice` command takes from SLUICE_URL and SLUICE_DATA_DIR; options of a command win over it."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", frozen=True, extra="ignore")

    url: str = ""
    """Base URL of the gateway to ask; empty asks the demo that runs in the data folder, else the default address."""
    data_dir: Path = Path("var/demo")
    """Folder of the demo: the plant, the cache, logs, and the note that says where a running demo listens."""


class StandInSettings(BaseSettings):
    """What `sluice twin serve` takes from SLUICE_STAND_IN_*; options of the command win over it."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_STAND_IN_", frozen=True, extra="ignore")

    user: str = ""
    """Who may log on to the stand-in; empty is its own default."""
    password: SecretStr = SecretStr("")
    """With what; empty is the stand-in's own default."""


def inherited_environment() -> dict[str, str]:
    """Return a copy of our own environment, for child processes that get it with additions."""
    return dict(os.environ)
