"""Saved views and short links in one SQLite file of the gateway's own."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
from base64 import b32encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

import structlog
from sluice_rpc.errors import ServiceUnavailable
from sluice_rpc.ports import Clock

from sluice_gateway.errors import NoSuchSaved, NotYours, TooManySaved

log = structlog.get_logger()

_BUSY_S = 2.0
_LINK_CHARS = 12
"""60 bits: two addresses of a plant meet under one link once in a billion years."""
_RENEWED_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class SavedView:
    """An address of the page under a name.

    Attributes:
        owner: whose it is; who has no name is nobody in particular, and shares what such people keep.
        shared: whether everybody sees it, or its owner alone.
    """

    id: str
    name: str
    note: str
    path: str
    owner: str
    shared: bool
    created_time: datetime


@dataclass(frozen=True)
class Permalink:
    """A short name of a long address. Nobody owns it, and the same address always has the same one."""

    id: str
    path: str
    expires_time: datetime


class SavedStore:
    """The file; it is made when something is first asked of it.

    Args:
        path: where it is; its folder is made where it is missing.
        clock: for what is written and for links that nobody has opened for long.
        keep_links: how long a link is kept that nobody opens.
        most_views: saved views that one owner may have.
        most_links: links in all; past it the ones that nobody opened for longest go.
    """

    def __init__(self, path: Path, clock: Clock, keep_links: timedelta, most_views: int, most_links: int) -> None:
        self._path = path
        self._clock = clock
        self._keep_links = keep_links
        self._most_views = most_views
        self._most_links = most_links
        # One connection, which one thread uses at a time: a click takes a fraction of a millisecond.
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def views(self, owner: str) -> list[SavedView]:
        """Return what the owner keeps and what others share, newest first."""
        with self._transaction() as file:
            rows = file.execute(_SQL["views"], {"owner": owner}).fetchall()
        return [_view(row) for row in rows]

    def view(self, view_id: str, owner: str) -> SavedView:
        """Return a view that the owner may see.

        Raises:
            NoSuchSaved: there is none, or it is somebody else's own.
        """
        with self._transaction() as file:
            return self._seen(file, view_id, owner)

    def save(self, owner: str, name: str, note: str, path: str, *, shared: bool) -> SavedView:
        """Keep a view and return it.

        Raises:
            TooManySaved: the owner keeps as many as one may.
        """
        view = SavedView(secrets.token_hex(8), name, note, path, owner, shared, self._clock.now())
        with self._transaction() as file:
            (count,) = file.execute(_SQL["count_views"], {"owner": owner}).fetchone()
            if count >= self._most_views:
                raise TooManySaved(self._most_views)
            values = {"id": view.id, "owner": owner, "shared": shared, "name": name, "note": note, "path": path}
            file.execute(_SQL["insert_view"], {**values, "created_time": _text(view.created_time)})
        return view

    def replace(self, view_id: str, owner: str, name: str, note: str, path: str, *, shared: bool) -> SavedView:
        """Keep something else under a view's id, so that links to it lead there, and return it.

        Raises:
            NoSuchSaved: there is none that the owner may see.
            NotYours: it is somebody else's.
        """
        values = {"id": view_id, "shared": shared, "name": name, "note": note, "path": path}
        with self._transaction() as file:
            if self._seen(file, view_id, owner).owner != owner:
                raise NotYours
            file.execute(_SQL["update_view"], values)
            return self._seen(file, view_id, owner)

    def forget(self, view_id: str, owner: str) -> None:
        """Forget a view.

        Raises:
            NoSuchSaved: there is none that the owner may see.
            NotYours: it is somebody else's.
        """
        with self._transaction() as file:
            if self._seen(file, view_id, owner).owner != owner:
                raise NotYours
            file.execute(_SQL["delete_view"], {"id": view_id})

    def shorten(self, path: str) -> Permalink:
        """Keep an address, or its link if there is one, from now on as if it had just been opened."""
        digest = hashlib.sha256(path.encode()).digest()
        link_id = b32encode(digest).decode().lower()[:_LINK_CHARS]
        now = self._clock.now()
        with self._transaction() as file:
            file.execute(_SQL["insert_link"], {"id": link_id, "path": path, "used_time": _text(now)})
            file.execute(_SQL["delete_old_links"], {"oldest": _text(now - self._keep_links)})
            file.execute(_SQL["delete_surplus_links"], {"most": self._most_links})
        return Permalink(link_id, path, now + self._keep_links)

    def link(self, link_id: str) -> Permalink:
        """Return the address behind a link, which is thereby kept for longer.

        Raises:
            NoSuchSaved: there is none, or nobody has opened it for too long.
        """
        now = self._clock.now()
        with self._transaction() as file:
            row = file.execute(_SQL["link"], {"id": link_id, "oldest": _text(now - self._keep_links)}).fetchone()
            if row is None:
                raise NoSuchSaved(link_id)
            path, used_time = row
            if datetime.fromisoformat(used_time) < now - _RENEWED_EVERY:
                file.execute(_SQL["use_link"], {"id": link_id, "used_time": _text(now)})
        return Permalink(link_id, path, now + self._keep_links)

    def _seen(self, file: sqlite3.Connection, view_id: str, owner: str) -> SavedView:
        row = file.execute(_SQL["view"], {"id": view_id, "owner": owner}).fetchone()
        if row is None:
            raise NoSuchSaved(view_id)
        return _view(row)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                self._opened = self._opened or self._open()
                with self._opened as file:
                    yield file
        except (sqlite3.Error, OSError) as error:
            log.warning("saved views cannot be reached", error=str(error))
            raise ServiceUnavailable("saved views") from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self._path, timeout=_BUSY_S, check_same_thread=False)
        file.executescript(_SQL["tables"])
        return file


def _text(instant: datetime) -> str:
    # One width, so that texts sort as instants do.
    return instant.isoformat(timespec="microseconds")


def _view(row: tuple[str, str, str, str, str, int, str]) -> SavedView:
    view_id, name, note, path, owner, shared, created = row
    return SavedView(view_id, name, note, path, owner, bool(shared), datetime.fromisoformat(created))


def _statements() -> dict[str, str]:
    """Return the statements of the folder beside this module by name."""
    folder = files("sluice_gateway.saved") / "sql"
    return {item.name.removesuffix(".sql"): item.read_text(encoding="utf-8") for item in folder.iterdir()}


_SQL = _statements()
