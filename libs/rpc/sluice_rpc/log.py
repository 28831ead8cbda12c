"""Structured logs on stdout: JSON in a container, colours on a terminal; constant events, values as fields."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

import structlog

REQUEST_ID_KEY = "x-request-id"


def configure_log(process: str, *, level: str = "info", style: str = "auto") -> None:
    """Set up logging for the whole process; every line carries `process`.

    Args:
        process: folder name of the process.
        level: debug, info, warning or error.
        style: json, console, or auto (console when stdout is a terminal).
    """
    pretty = style == "console" or (style == "auto" and sys.stdout.isatty())
    renderer: structlog.typing.Processor = (
        # The default formatter prints local variables, which may hold row values.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )

    def name_process(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        # A context variable would reach only the thread that sets it, and calls are answered by others.
        event.setdefault("process", process)
        return event

    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        name_process,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if not pretty:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )


class _Lines(structlog.PrintLogger):
    """Prints each line; one that the disk or pipe behind stdout refuses is lost, never the answer it tells of."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg
