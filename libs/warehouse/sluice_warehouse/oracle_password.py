"""The password for a logon, and how long a logon that was refused is not tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from sluice_warehouse.errors import LogonRefused, PasswordUnreadable
from sluice_warehouse.oracle_errors import REFUSED_LOGONS, WRONG_PASSWORD
from sluice_warehouse.oracle_settings import OracleSettings

log = structlog.get_logger()


class Password:
    """Gives the password out unless the same one was refused a while ago, since Oracle locks an account after a few.

    Each process counts for itself, so the rest is long: what all of them send in a day has to stay below what locks it.

    Args:
        settings: where the password is, and how long a refused one rests.
        clock: monotonic seconds.
    """

    def __init__(self, settings: OracleSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        # Protects what follows.
        self._lock = threading.Lock()
        self._refused = ("", 0)
        self._ora = 0
        self._until = 0.0

    def text(self) -> str:
        """Return the password as it is now.

        Raises:
            LogonRefused: it is the one that was refused, it was not written anew, and its rest is not over.
            PasswordUnreadable: its file is missing or cannot be read; the warehouse is not to blame.
        """
        try:
            found = (self._settings.secret(), self._settings.written_ns())
        except OSError as error:
            raise PasswordUnreadable from error
        with self._lock:
            left_s = self._until - self._clock()
            if found == self._refused and left_s > 0:
                raise LogonRefused(self._ora, left_s)
        return found[0]

    def judge(self, text: str, ora: int) -> None:
        """Let this password rest if the number says that the database will not take it."""
        if ora not in REFUSED_LOGONS:
            return
        settings = self._settings
        rest_s = settings.refused_password_rest_s if ora == WRONG_PASSWORD else settings.refused_account_rest_s
        with suppress(OSError), self._lock:
            self._refused, self._ora, self._until = (text, settings.written_ns()), ora, self._clock() + rest_s
        log.error("logon refused, it is not tried again for a while", ora=ora, rest_s=rest_s)
