"""`sluice demo` while its processes are killed, and when it is killed itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.demo_process import DemoProcess, started_demo
from tests.polling import poll_until


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that one demo after the other is started on; the first one makes the plant."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def doomed(kept: Path) -> Iterator[DemoProcess]:
    """A demo that serves and that the test may hurt."""
    with started_demo(kept, "--port", "0") as demo:
        demo.await_serving()
        yield demo


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=2.0, trust_env=False, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_all_processes_killed_at_once_come_back_on_their_ports(doomed: DemoProcess) -> None:
    url, children = doomed.await_serving(), doomed.processes()
    for child in children:
        child.kill()
    old = {child.pid for child in children}
    poll_until(lambda: len({child.pid for child in doomed.processes()} - old) == len(old), 120, "new processes")
    poll_until(lambda: ready(url), 120, "readiness")
    body = {"start_date": "2025-06-01", "end_date": "2025-06-30"}
    answer = httpx.post(f"{url}/api/hold-history/query", json=body, timeout=60, trust_env=False, verify=False)
    assert answer.status_code == 200, answer.text


def test_a_restart_is_told_on_the_screen(doomed: DemoProcess) -> None:
    (cache,) = (child for child in doomed.children() if "sluice_cache" in child.cmdline())
    cache.kill()
    poll_until(lambda: "cache serves again" in doomed.text(), 120, "the sentence")
    assert "cache was ended by signal 9; starting it again" in doomed.text()


def test_nothing_outlives_a_killed_demo(doomed: DemoProcess) -> None:
    children = doomed.children()
    doomed.process.kill()
    doomed.process.wait()
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert len(gone) >= 5
