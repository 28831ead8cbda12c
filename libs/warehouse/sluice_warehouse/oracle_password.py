"""The password for a logon, and how long one that was refused is not tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from sluice_warehouse.errors import LogonRefused, PasswordUnreadable
from sluice_warehouse.oracle_settings import OracleSettings

log = structlog.get_logger()


class Password:
    """Gives the password out unless the same one was refused a while ago, since Oracle locks an account after a few.

    Args:
        settings: where the password is, and how long a refused one rests.
        clock: monotonic seconds.
    """

    def __init__(self, settings: OracleSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        # Protects what follows.
        self._lock = threading.Lock()
        self._refused = ""
        self._until = 0.0

    def text(self) -> str:
        """Return the password as it is now.

        Raises:
            LogonRefused: it is the one that was refused, and its rest is not over.
            PasswordUnreadable: its file is missing or cannot be read; the warehouse is not to blame.
        """
        try:
            text = self._settings.secret()
        except OSError as error:
            raise PasswordUnreadable from error
        with self._lock:
            left_s = self._until - self._clock()
            if text == self._refused and left_s > 0:
                raise LogonRefused(left_s)
        return text

    def refused(self, text: str) -> None:
        """Let this password rest: the database did not take it."""
        with self._lock:
            self._refused, self._until = text, self._clock() + self._settings.refused_password_rest_s
        log.error("password refused, it is not tried again for a while", rest_s=self._settings.refused_password_rest_s)
