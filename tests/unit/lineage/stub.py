"""A started lineage process as a test sees it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc


@dataclass(frozen=True)
class Lineage:
    """Its stub, its port, and the log of the statements it ran."""

    stub: pb_grpc.LineageServiceStub
    port: int
    statement_log: Path | None

    def ask(self, ids: Iterable[str], max_depth: int = 0) -> pb.ResolveSplitAncestorsResponse:
        """Ask for split ancestors."""
        return self.stub.ResolveSplitAncestors(
            pb.ResolveSplitAncestorsRequest(container_ids=list(ids), max_depth=max_depth), timeout=30
        )

    def started(self) -> list[dict[str, Any]]:
        """The statements that really started, in order."""
        if self.statement_log is None or not self.statement_log.exists():
            return []
        lines = [json.loads(line) for line in self.statement_log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["kind"] == "start"]
