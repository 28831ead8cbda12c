"""The stand-in: a listener on this machine that the thin Oracle driver connects to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sluice_twin.oracle_wire import logon, replies
from sluice_twin.oracle_wire.codec import Value
from sluice_twin.oracle_wire.database import TwinDatabase
from sluice_twin.oracle_wire.errors import Disconnected, MalformedRequest
from sluice_twin.oracle_wire.faults import FaultRule, Faults, FaultScriptError, Moment
from sluice_twin.oracle_wire.packets import PacketChannel
from sluice_twin.oracle_wire.protocol import Packet
from sluice_twin.oracle_wire.sending import FaultySender
from sluice_twin.oracle_wire.session import Session
from sluice_twin.oracle_wire.sessions import SessionRecord, SessionTable
from sluice_twin.oracle_wire.statements import PageStore, Statements, encode_result
from sluice_twin.oracle_wire.verifier import Verifier

DEFAULT_USER: Final = "sluice"
DEFAULT_PASSWORD: Final = "sluice"  # noqa: S105 - the stand-in guards generated rows on this machine
DEFAULT_SERVICE: Final = "TWIN"

_BACKLOG: Final = 64
_UNKNOWN_SERVICE: Final = 12514


class OracleWireServer:
    """A server for the twin; a context manager that serves from entry to exit.

    Args:
        file: the twin's DuckDB file; None serves `tables` alone.
        port: 0 is any free one.
        user: who may log on.
        password: with what.
        service: what a client has to ask for.
        faults: what shall go wrong: rules, or the path of a script that is watched.
        seed: of rules that have a probability.
        tables: Arrow tables served in schema DWH besides, by name; one that has the name of a twin's table hides it.
        session_limit: sessions at once; one more is refused with ORA-00018.
        user_session_limit: sessions of the user at once; one more is refused with ORA-02391.
        compressed: whether values that repeat the row before are left out, as a server does.
        out_of_band: whether breaks may come as urgent bytes.
        session_data_unit: largest packet.
        orphan_s: how long a statement that is executing goes on after its client is gone.
        counted: says of a statement's text whether it counts as in flight; None counts all.
        host: address to listen at.
    """

    def __init__(
        self,
        file: Path | None,
        port: int = 0,
        user: str = DEFAULT_USER,
        password: str = DEFAULT_PASSWORD,
        service: str = DEFAULT_SERVICE,
        *,
        faults: Sequence[FaultRule] | Path = (),
        seed: int = 0,
        tables: Mapping[str, Any] | None = None,
        session_limit: int | None = None,
        user_session_limit: int | None = None,
        compressed: bool = True,
        out_of_band: bool = False,
        session_data_unit: int = 65_535,
        orphan_s: float = 0.0,
        counted: Callable[[str], bool] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._file = file
        self._tables = dict(tables or {})
        self._host = host
        self._port = port
        self.user = user
        self.service = service.upper()
        self._verifiers = {user.upper(): Verifier(password)}
        self._compressed = compressed
        self._out_of_band = out_of_band
        self._session_data_unit = session_data_unit
        self._orphan_s = orphan_s
        self.faults = Faults(path=faults, seed=seed) if isinstance(faults, Path) else Faults(faults, seed=seed)
        """What goes wrong; may be changed while the server runs."""
        self._sessions = SessionTable(session_limit, user_session_limit, counted)
        self._pages = PageStore()
        # Protects the connections.
        self._lock = threading.Lock()
        self._channels: set[PacketChannel] = set()
        self._threads: set[threading.Thread] = set()
        self._listener: socket.socket | None = None
        self._database: TwinDatabase | None = None

    def __enter__(self) -> Self:
        self._database = TwinDatabase(self._file, self._tables)
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._database is not None
        self.stop_listening()
        self.drop_connections()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        self._database.close()

    def listen(self) -> None:
        """Take connections, at the same port as before if there was one."""
        self._listener = socket.create_server((self._host, self._port), backlog=_BACKLOG)
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), name="oracle-wire", daemon=True).start()

    def stop_listening(self) -> None:
        """Take no connection any more, as a listener that is down; sessions go on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Wakes the thread that waits in accept(); close() alone would leave it there.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._port

    @property
    def dsn(self) -> str:
        """What to give to the driver as `dsn`."""
        return f"{self._host}:{self.port}/{self.service}"

    @property
    def statements_in_flight(self) -> int:
        """Statements that were executed and have not ended: not read to the end, not closed, not failed."""
        return self._sessions.in_flight

    @property
    def peak_in_flight(self) -> int:
        """Most statements that were in flight at once."""
        return self._sessions.peak_in_flight

    @property
    def active_sessions(self) -> int:
        """Sessions that are within a call at this moment, as V$SESSION counts them."""
        return self._sessions.active

    def sessions(self) -> list[SessionRecord]:
        """Return who is logged on, oldest first."""
        return self._sessions.records

    def kill(self, session_id: int) -> None:
        """End a session as an administrator does: its next call fails with ORA-00028."""
        self._sessions.kill(session_id)

    def drop_connections(self) -> None:
        """Reset every connection, as a server that crashes; whoever connects again is served."""
        with self._lock:
            channels = list(self._channels)
        for channel in channels:
            channel.close(reset=True)

    def preload(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Encode the rows of a statement once and serve it from memory from here on; returns how many rows it has.

        Args:
            sql: exactly as the client will send it.
            values: one per occurrence of a bind.
        """
        assert self._database is not None, "the server is not running"
        result = encode_result(self._database, sql, values, compressed=self._compressed)
        self._pages.put(sql, values, result)
        return result.row_count

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), name="oracle-wire-session", daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        assert self._database is not None
        session_id = self._sessions.new_id()
        statements = Statements(self._database, self._pages, self._sessions, session_id, compressed=self._compressed)
        channel = PacketChannel(sock, statements.interrupt, orphan_s=self._orphan_s)
        with self._lock:
            self._channels.add(channel)
        channel.start()
        try:
            if self._connect(channel, session_id):
                Session(channel, statements, self._sessions, session_id, faults=self.faults, clock=self._clock).serve()
        except (Disconnected, FaultScriptError, MalformedRequest, ValueError, IndexError):
            # Nobody is left to tell, or whoever is there speaks another protocol. A bad script is told to who logs on.
            pass
        finally:
            statements.close()
            self._sessions.leave(session_id)
            channel.close()
            with self._lock:
                self._channels.discard(channel)
                self._threads.discard(threading.current_thread())

    def _connect(self, channel: PacketChannel, session_id: int) -> bool:
        request = logon.read_connect(channel)
        rule = self.faults.pick(Moment("listen", session_id))
        if rule is not None and rule.do == "silent":
            # Until the client has enough of it.
            while True:
                channel.next()
        if rule is not None and rule.do != "refuse":
            FaultySender(channel).instead(rule)
        code = rule.code if rule is not None and rule.do == "refuse" else None
        if request.service != self.service:
            code = code or _UNKNOWN_SERVICE
        if code is not None:
            channel.send(Packet.REFUSE, replies.refuse(code))
            return False
        logon.accept(channel, request, session_data_unit=self._session_data_unit, out_of_band=self._out_of_band)
        return logon.LogonDialogue(channel, self._verifiers, self._sessions, session_id, faults=self.faults).run()

    def _clock(self) -> datetime:
        assert self._database is not None
        return self._database.plant_time
