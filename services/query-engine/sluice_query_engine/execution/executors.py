"""How many tasks of a plan run at once, and the bounded pool that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Finished(Generic[_Result]):
    """How a task ended: with a result, or with the exception that ended it."""

    index: int
    result: _Result | None
    error: BaseException | None


def effective_parallel(parallel: int, available_permit_count: int, task_count: int) -> int:
    """Return how many tasks may run at once: one permit is left for everybody else, and never less than one runs."""
    return max(1, min(parallel, available_permit_count - 1, task_count))


def run_bounded(tasks: Sequence[Callable[[], _Result]], parallel: int) -> Iterator[Finished[_Result]]:
    """Run the tasks, `parallel` at once, and yield each as it ends; one that raises does not stop the others.

    The threads end with the iterator: leaving it early drops the tasks that have not begun and waits for those that
    have, which are withdrawn by other means.
    """
    pool = ThreadPoolExecutor(parallel, thread_name_prefix="chunk")
    try:
        running: dict[Future[_Result], int] = {pool.submit(task): index for index, task in enumerate(tasks)}
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                index = running.pop(future)
                error = future.exception()
                yield Finished(index, None if error else future.result(), error)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
