"""One session from its logon to its end: reads calls, answers them, and answers breaks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from sluice_twin.oracle_wire import replies
from sluice_twin.oracle_wire.codec import Value
from sluice_twin.oracle_wire.errors import ENDS_SESSION, Disconnected, MalformedRequest, OraError
from sluice_twin.oracle_wire.packets import PacketChannel
from sluice_twin.oracle_wire.primitives import RequestReader
from sluice_twin.oracle_wire.protocol import DATA_EOF, ExecuteOption, Function, Marker, Message, Packet
from sluice_twin.oracle_wire.requests import (
    read_closed_cursors,
    read_end_to_end,
    read_execute,
    read_rows,
    read_schema,
    unknown_call,
)
from sluice_twin.oracle_wire.sessions import SessionTable
from sluice_twin.oracle_wire.statements import Cursor, Statements

Clock: TypeAlias = Callable[[], datetime]


class Session:
    """A session that is logged on.

    Args:
        channel: its connection.
        statements: what it runs.
        sessions: where it is recorded.
        session_id: its number.
        clock: what SYSDATE shows.
    """

    def __init__(
        self,
        channel: PacketChannel,
        statements: Statements,
        sessions: SessionTable,
        session_id: int,
        clock: Clock,
    ) -> None:
        self._channel = channel
        self._statements = statements
        self._sessions = sessions
        self._id = session_id
        self._clock = clock
        self._sequence = 0

    def serve(self) -> None:
        """Answer calls until the client logs off.

        Raises:
            Disconnected: it left without.
        """
        while True:
            kind, body = self._channel.next()
            if kind == Packet.MARKER:
                if body[2] != Marker.RESET:
                    # A break that found nothing to break.
                    self._send_error(OraError(1013))
                continue
            if int.from_bytes(body[:2], "big") & DATA_EOF:
                return
            self._sessions.begin_call(self._id)
            try:
                going_on = self._call(RequestReader(body[2:], self._channel.next_data))
            except OraError as error:
                self._send_error(error)
                going_on = error.code not in ENDS_SESSION
            except MalformedRequest as error:
                self._send_error(OraError(3120, f"two-task conversion routine: {error}"))
                going_on = False
            finally:
                self._sessions.end_call(self._id)
            if not going_on:
                return

    def _call(self, reader: RequestReader) -> bool:
        """Answer one call; False if it was the last."""
        while (message := reader.byte()) == Message.PIGGYBACK:
            self._piggyback(reader)
        if message != Message.FUNCTION:
            raise MalformedRequest(f"a message of kind {message}")
        function, self._sequence = reader.byte(), reader.byte()
        if self._sessions.killed(self._id):
            raise OraError(28)
        match function:
            case Function.EXECUTE:
                self._execute(reader)
            case Function.REEXECUTE | Function.REEXECUTE_AND_FETCH:
                self._reexecute(reader, fetch=function == Function.REEXECUTE_AND_FETCH)
            case Function.FETCH:
                cursor_id, row_count = reader.number(), reader.number()
                cursor = self._statements.cursor(cursor_id)
                self._send_rows(cursor_id, cursor, row_count)
            case Function.COMMIT | Function.ROLLBACK | Function.PING | Function.LOGOFF:
                self._send(replies.status(self._sequence))
            case _:
                raise unknown_call(function)
        return function != Function.LOGOFF

    def _piggyback(self, reader: RequestReader) -> None:
        function = reader.byte()
        reader.byte()
        match function:
            case Function.CLOSE_CURSORS:
                for cursor_id in read_closed_cursors(reader):
                    self._statements.drop(cursor_id)
            case Function.SET_SCHEMA:
                read_schema(reader)
            case Function.END_TO_END:
                said = read_end_to_end(reader)
                self._sessions.name(
                    self._id,
                    module=said.module,
                    action=said.action,
                    client_identifier=said.client_identifier,
                    client_info=said.client_info,
                )
            case _:
                # Its length is not known, so nothing behind it can be read.
                raise MalformedRequest(f"a piggyback of kind {function}")

    def _execute(self, reader: RequestReader) -> None:
        call = read_execute(reader, ())
        new = call.cursor_id == 0
        cursor_id = self._statements.new(call.sql or "") if new else call.cursor_id
        cursor = self._statements.cursor(cursor_id)
        if call.sql is not None:
            cursor.sql = call.sql
        if call.bind_types:
            cursor.bind_types = call.bind_types
        values = call.rows[0] if call.rows else ()
        try:
            if call.options & ExecuteOption.EXECUTE:
                self._run(cursor, values)
            else:
                self._statements.describe(cursor, self._clock())
        except (OraError, Disconnected):
            self._statements.end(cursor)
            if new:
                self._statements.drop(cursor_id)
            raise
        fetch = call.prefetch_row_count if call.options & ExecuteOption.FETCH else 0
        self._answer(cursor_id, cursor, fetch)

    def _reexecute(self, reader: RequestReader, *, fetch: bool) -> None:
        cursor_id, iterations = reader.number(), reader.number()
        reader.skip_numbers(2)
        cursor = self._statements.cursor(cursor_id)
        rows = read_rows(reader, cursor.bind_types, 1) if cursor.bind_types else ((),)
        try:
            self._run(cursor, rows[0])
        except (OraError, Disconnected):
            self._statements.end(cursor)
            raise
        self._answer(cursor_id, cursor, iterations if fetch else 0)

    def _run(self, cursor: Cursor, values: tuple[Value, ...]) -> None:
        self._statements.begin(cursor)
        self._statements.run(cursor, values, self._clock())

    def _answer(self, cursor_id: int, cursor: Cursor, row_count: int) -> None:
        if cursor.columns:
            # Told once, and again when a statement has other columns than before.
            told = cursor.columns == cursor.described
            head = b"" if told else replies.describe(cursor.columns, self._clock())
            cursor.described = cursor.columns
            self._send_rows(cursor_id, cursor, row_count, head=head, executed=True)
            return
        self._statements.end(cursor)
        self._send(replies.executed(cursor_id) + replies.end_of_call(self._sequence, cursor_id=cursor_id))

    def _send_rows(
        self, cursor_id: int, cursor: Cursor, row_count: int, *, head: bytes = b"", executed: bool = False
    ) -> None:
        parts: list[bytes | memoryview] = [head]
        last = False
        if row_count:
            if cursor.rows is None:
                raise OraError(1002, "fetch out of sequence")
            try:
                taken = cursor.rows.take(row_count)
                if self._channel.broken:
                    raise OraError(1013)
            except OraError:
                self._statements.end(cursor)
                raise
            cursor.sent_row_count += taken.row_count
            parts += (replies.row_header(row_count, taken.vector), *taken.parts)
            last = taken.last
        if executed:
            parts.append(replies.executed(cursor_id))
        if last:
            self._statements.end(cursor)
            parts.append(replies.end_of_rows(self._sequence, cursor_id=cursor_id, row_count=cursor.sent_row_count))
        else:
            parts.append(replies.end_of_call(self._sequence, cursor_id=cursor_id, row_count=cursor.sent_row_count))
        self._send(b"".join(parts))

    def _send(self, payload: bytes) -> None:
        self._channel.send_bytes(self._channel.packed(payload))

    def _send_error(self, error: OraError) -> None:
        """Send an error as a server does: break, reset, the client's reset, and only then the error."""
        self._channel.send_marker(Marker.BREAK)
        self._channel.send_marker(Marker.RESET)
        while True:
            kind, body = self._channel.next()
            if kind == Packet.MARKER and body[2] == Marker.RESET:
                break
        self._send(replies.end_of_call(self._sequence, error=error))
