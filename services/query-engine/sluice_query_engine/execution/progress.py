"""The progress of a plan as the fields of its hash in Redis; all values are texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BatchProgress:
    """How far a plan is.

    Args:
        total: chunks.
        completed: chunks that are there, those found included.
        failed: chunks that will not be there.
        ended: nothing runs any more.
        status: word to show in place of the derived one.
        failed_ranges: `{start, end}` of failed time chunks; id chunks only count.
    """

    total: int
    completed: int
    failed: int
    ended: bool
    status: str = ""
    failed_ranges: Sequence[dict[str, str]] = field(default=())

    def fields(self) -> dict[str, str]:
        """Return the fields of the hash."""
        return {
            "total": str(self.total),
            "completed": str(self.completed),
            "failed": str(self.failed),
            "pct": str(round(100 * self.completed / self.total, 1) if self.total else 0.0),
            "status": self.status or self._status(),
            "has_partial_failure": str(self.failed > 0),
            "failed_chunk_count": str(self.failed),
            "failed_ranges": json.dumps(list(self.failed_ranges)),
        }

    def _status(self) -> str:
        if not self.ended:
            return "running"
        if self.failed == 0:
            return "completed"
        return "partial" if self.completed else "failed"
