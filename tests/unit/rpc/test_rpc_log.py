"""What a log line carries whoever writes it, and what it never carries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CONFIGURED = """
import threading
import structlog
from sluice_rpc.log import configure_log
configure_log("cache", level="info", style="json")
log = structlog.get_logger()
def answer(row_value):
    log.debug("too quiet to be written")
    try:
        raise KeyError("text of the error")
    except KeyError as error:
        log.error("rpc broke", exc_info=error, station="站點")
thread = threading.Thread(target=answer, args=["secret row value"])
thread.start()
thread.join()
"""


def written() -> list[dict[str, Any]]:
    # Logging is set up for a whole process, so a process of its own shows it.
    done = subprocess.run([sys.executable, "-c", CONFIGURED], capture_output=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def test_a_line_of_any_thread_names_its_process_and_keeps_row_values_to_itself() -> None:
    (line,) = written()
    assert (line["process"], line["event"], line["level"], line["station"]) == ("cache", "rpc broke", "error", "站點")
    assert "KeyError" in line["exception"]
    assert "secret row value" not in json.dumps(line)


def test_a_log_that_cannot_be_written_breaks_nothing() -> None:
    told = "import os; log = structlog.get_logger(); log.info('lost'); os._exit(7)"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", CONFIGURED + told], stdout=full, timeout=60, check=False)
    assert done.returncode == 7
