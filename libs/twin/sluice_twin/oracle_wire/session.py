"""One session from its logon to its end: reads calls, answers them, and answers breaks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sluice_twin.oracle_wire import replies
from sluice_twin.oracle_wire.codec import Value
from sluice_twin.oracle_wire.errors import ENDS_SESSION, MalformedRequest, OraError
from sluice_twin.oracle_wire.faults import (
    RESULT_EFFECTS,
    FaultRule,
    Faults,
    FaultScriptError,
    Moment,
    Phase,
)
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
from sluice_twin.oracle_wire.sending import FaultySender, Reply
from sluice_twin.oracle_wire.sessions import SessionTable
from sluice_twin.oracle_wire.statements import Cursor, Statements

Clock: TypeAlias = Callable[[], datetime]

_SKEW: Final = frozenset({"clock_skew"})
_AT_ONCE: Final = frozenset({"error", "close", "reset", "stall", "slow", "deaf"})
_PHASES: Final[dict[int, Phase]] = {
    Function.PING: "ping",
    Function.COMMIT: "commit",
    Function.ROLLBACK: "commit",
}
_BAD_SCRIPT: Final = 20_999


class Session:
    """A session that is logged on.

    Args:
        channel: its connection.
        sessions: where it is recorded.
        session_id: its number.
        faults: what goes wrong.
        clock: what SYSDATE shows.
    """

    def __init__(
        self,
        channel: PacketChannel,
        statements: Statements,
        sessions: SessionTable,
        session_id: int,
        *,
        faults: Faults,
        clock: Clock,
    ) -> None:
        self._channel = channel
        self._statements = statements
        self._sessions = sessions
        self._id = session_id
        self._faults = faults
        self._clock = clock
        self._sender = FaultySender(channel)
        self._sequence = 0
        # What happens to the reply of the present call.
        self._reply_rule: FaultRule | None = None

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
                    self._send_error(OraError(1013), cancelled=True)
                continue
            if int.from_bytes(body[:2], "big") & DATA_EOF:
                return
            self._sessions.begin_call(self._id)
            try:
                going_on = self._answered(RequestReader(body[2:], self._channel.next_data))
            finally:
                self._statements.deaf = False
                self._sessions.end_call(self._id)
            if not going_on:
                return

    def _answered(self, reader: RequestReader) -> bool:
        """Answer one call, with an error if need be; False if it was the last."""
        self._reply_rule = None
        try:
            return self._call(reader)
        except OraError as error:
            return self._send_error(error, cancelled=self._channel.broken)
        except FaultScriptError as error:
            return self._send_error(OraError(_BAD_SCRIPT, f"fault script: {error}"))
        except (MalformedRequest, ValueError, IndexError) as error:
            self._send_error(OraError(3120, f"two-task conversion routine: {error}"))
            return False

    def _call(self, reader: RequestReader) -> bool:
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
                self._send_rows(cursor_id, self._statements.cursor(cursor_id), row_count)
            case Function.COMMIT | Function.ROLLBACK | Function.PING | Function.LOGOFF:
                phase = _PHASES.get(function)
                rule = self._faults.pick(self._moment(phase)) if phase else None
                self._sender.send(Reply(replies.status(self._sequence)), rule)
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
        call = read_execute(reader)
        new = call.cursor_id == 0
        cursor_id = self._statements.new(call.sql or "") if new else call.cursor_id
        cursor = self._statements.cursor(cursor_id)
        if call.sql is not None:
            cursor.sql = call.sql
        if call.bind_types:
            cursor.bind_types = call.bind_types
        try:
            if call.options & ExecuteOption.EXECUTE:
                self._run(cursor, call.rows[0] if call.rows else ())
            else:
                self._describe(cursor)
        except OraError:
            if new:
                self._statements.drop(cursor_id)
            raise
        self._answer(cursor_id, cursor, call.prefetch_row_count if call.options & ExecuteOption.FETCH else 0)

    def _reexecute(self, reader: RequestReader, *, fetch: bool) -> None:
        cursor_id, row_count = reader.number(), reader.number()
        reader.skip_numbers(2)
        cursor = self._statements.cursor(cursor_id)
        rows = read_rows(reader, cursor.bind_types, 1) if cursor.bind_types else ((),)
        self._run(cursor, rows[0])
        self._answer(cursor_id, cursor, row_count if fetch else 0)

    def _describe(self, cursor: Cursor) -> None:
        moment = self._moment("describe", statement=cursor.sql)
        rule = self._faults.pick(moment, effects=_AT_ONCE)
        if rule is not None:
            self._begin_fault(rule)
        self._statements.describe(cursor, self._clock(), self._faults.pick(moment, effects=RESULT_EFFECTS))

    def _run(self, cursor: Cursor, values: tuple[Value, ...]) -> None:
        self._statements.begin(cursor)
        try:
            moment = self._moment("execute", statement=cursor.sql)
            rule = self._faults.pick(moment, effects=_AT_ONCE)
            if rule is not None:
                self._begin_fault(rule)
            skew = self._faults.pick(moment, effects=_SKEW)
            clock = self._clock() + timedelta(seconds=skew.seconds or 0 if skew else 0)
            self._statements.run(cursor, values, clock, self._faults.pick(moment, effects=RESULT_EFFECTS))
        except OraError:
            self._statements.end(cursor)
            raise

    def _begin_fault(self, rule: FaultRule) -> None:
        if rule.do == "deaf":
            self._statements.deaf = True
        elif rule.do == "slow" or rule.at is not None:
            self._reply_rule = rule
        else:
            self._sender.instead(rule)

    def _answer(self, cursor_id: int, cursor: Cursor, row_count: int) -> None:
        if cursor.columns:
            # Told once, and again when a statement has other columns than before.
            told = cursor.columns == cursor.described
            head = b"" if told else replies.describe(cursor.columns, self._clock())
            cursor.described = cursor.columns
            self._send_rows(cursor_id, cursor, row_count, head=head, executed=True)
            return
        self._statements.end(cursor)
        end = replies.executed(cursor_id) + replies.end_of_call(self._sequence, cursor_id=cursor_id)
        self._sender.send(Reply(end), self._reply_rule)

    def _send_rows(
        self, cursor_id: int, cursor: Cursor, row_count: int, *, head: bytes = b"", executed: bool = False
    ) -> None:
        try:
            reply, rule = self._rows(cursor_id, cursor, row_count, head, executed=executed)
            self._sender.send(reply, rule or self._reply_rule)
        except OraError:
            self._statements.end(cursor)
            raise

    def _rows(
        self, cursor_id: int, cursor: Cursor, row_count: int, head: bytes, *, executed: bool
    ) -> tuple[Reply, FaultRule | None]:
        """Return the next rows of a cursor, and what goes wrong with them."""
        parts: list[bytes | memoryview] = [head]
        rule, last, rows_start, rows_end = None, False, 0, 0
        if row_count:
            if cursor.rows is None:
                raise OraError(1002, "fetch out of sequence")
            taken = cursor.rows.take(row_count)
            if self._channel.broken and not self._statements.deaf:
                raise OraError(1013)
            moment = self._moment("fetch", statement=cursor.sql, batch=cursor.batch_count, last=taken.last)
            rule = self._faults.pick(moment)
            cursor.batch_count += 1
            cursor.sent_row_count += taken.row_count
            header = replies.row_header(row_count, taken.vector)
            rows_start = len(head) + len(header)
            rows_end = rows_start + sum(map(len, taken.parts))
            parts += (header, *taken.parts)
            last = taken.last
        if executed:
            parts.append(replies.executed(cursor_id))
        if last and (rule is None or rule.do != "error"):
            self._statements.end(cursor)
        end = replies.end_of_rows if last else replies.end_of_call
        parts.append(end(self._sequence, cursor_id=cursor_id, row_count=cursor.sent_row_count))
        return Reply(b"".join(parts), rows_start, rows_end), rule

    def _moment(self, phase: Phase, *, statement: str = "", batch: int | None = None, last: bool = False) -> Moment:
        record = self._sessions.record(self._id)
        return Moment(phase, self._id, record.module, record.action, statement, batch, last)

    def _send_error(self, error: OraError, *, cancelled: bool = False) -> bool:
        """Send an error as a server does: break, reset, the client's reset, and only then the error.

        Returns whether the session goes on.
        """
        statement = self._sessions.record(self._id).sql
        rule = self._faults.pick(self._moment("break", statement=statement)) if cancelled else None
        if rule is not None and rule.do == "error":
            error, rule = OraError(rule.code or 0, rule.text), None
        elif rule is not None:
            self._sender.hold(rule)
        self._channel.send_marker(Marker.BREAK)
        self._channel.send_marker(Marker.RESET)
        while True:
            kind, body = self._channel.next()
            if kind == Packet.MARKER and body[2] == Marker.RESET:
                break
        self._sender.send(Reply(replies.end_of_call(self._sequence, error=error)))
        return error.code not in ENDS_SESSION
