"""Days that nobody has read: what the cache of a shared suite holds of them is dropped, whoever had it read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1.frame_service_pb2_grpc import FrameServiceStub
from sluice_client.ports import LOOPBACK
from sluice_query_engine.execution.inventory import series_name
from sluice_query_engine.parameters import canonical, part_range
from sluice_query_engine.planning.time_range import TimeRange
from sluice_rpc.client import open_channel

from tests.dataset_frames import load
from tests.running_suite import RunningSuite


def forget(suite: RunningSuite, dataset: str, question: Mapping[str, object]) -> None:
    """Drop every chunk that the question could use again, so that it reads all its days, cut as if nobody had asked.

    Tests that need days unread call this first: which tests ran before them on the same suite is up to the scheduler.
    Answers that other tests hold of these days expire.

    Args:
        suite: whose cache.
        dataset: its name, one whose chunks are cut by time.
        question: the parameters, with a first and a last day.
    """
    definition = next(item for item in load() if item.name == dataset)
    parameters = canonical(definition, question)
    with open_channel(f"{LOOPBACK}:{suite.ports.cache}", "cache") as channel:
        frames = FrameServiceStub(channel)
        for part in definition.parts_of(parameters):
            labels = {"series": series_name(definition, part, parameters)}
            for frame in frames.ListFrames(pb.ListFramesRequest(labels=labels)).frames:
                if _touches(frame, part_range(definition, part, parameters)):
                    frames.DeleteFrame(pb.DeleteFrameRequest(frame_id=frame.frame_id))


def _touches(frame: pb.Frame, days: TimeRange) -> bool:
    """Return whether a chunk may have anything of these days; one without an end stands for its start.

    One read by ids does not say of which days its rows are.
    """
    if "start" not in frame.labels:
        return True
    start = datetime.fromisoformat(frame.labels["start"])
    end = datetime.fromisoformat(frame.labels.get("end") or frame.labels["start"])
    return start < days.end and (end > days.start or start == end >= days.start)
