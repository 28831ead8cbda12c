"""How rate limits are put together."""

from __future__ import annotations

from sluice_rpc.ports import Clock
from sluice_rpc.settings import SettingsError

from sluice_lineage.rates.limits import RateLimits
from sluice_lineage.rates.settings import RateSettings
from sluice_lineage.settings import Settings


def open_rates(settings: Settings, clock: Clock) -> RateLimits:
    """Return the limits of all domains; nothing is connected yet.

    Raises:
        SettingsError: a limit does not fit, or the Redis URL is none.
    """
    rates = RateSettings.load()
    try:
        return RateLimits(
            rates.by_domain() if rates.enabled else {},
            clock,
            redis_url=settings.redis_url,
            prefix=settings.redis_prefix,
        )
    except ValueError as error:
        raise SettingsError(f"redis_url: {error}") from error
