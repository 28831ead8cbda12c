"""What every call has: a deadline, the request id of its caller, one observation; and a stream that can be left."""

from __future__ import annotations

import grpc
import pytest
import structlog
from sluice_rpc import errors
from sluice_rpc.deadline import remaining_s
from sluice_rpc.log import REQUEST_ID_KEY

from tests.unit.rpc.scripted import EXCHANGE, STREAM, UNARY, UPLOAD, Act, Suite

pytestmark = pytest.mark.anyio


def test_a_call_that_names_no_deadline_gets_the_channels(suite: Suite) -> None:
    with suite.channel(timeout_s=7) as channel:
        channel.unary_unary(UNARY)(b"")
    assert 5 < suite.scripted.deadlines[0] < 8


def test_a_call_keeps_the_deadline_it_names(suite: Suite) -> None:
    with suite.channel(timeout_s=7) as channel:
        list(channel.unary_stream(STREAM)(b"", timeout=100))
    assert 90 < suite.scripted.deadlines[0] < 101


async def test_an_asyncio_call_that_names_no_deadline_gets_the_channels(suite: Suite) -> None:
    async with suite.aio_channel(timeout_s=7) as channel:
        await channel.unary_unary(UNARY)(b"")
    assert 5 < suite.scripted.deadlines[0] < 8


def test_a_caller_without_a_deadline_leaves_the_default(suite: Suite) -> None:
    left: list[float] = []

    def act(context: grpc.ServicerContext) -> bytes:
        left.append(remaining_s(context, 33))
        return b""

    suite.scripted.act = act
    with suite.bare_channel() as channel:
        channel.unary_unary(UNARY)(b"")
    assert left == [33]


def test_a_callers_deadline_is_what_remains(suite: Suite) -> None:
    left: list[float] = []

    def act(context: grpc.ServicerContext) -> bytes:
        left.append(remaining_s(context, 33))
        return b""

    suite.scripted.act = act
    with suite.channel(timeout_s=9) as channel:
        channel.unary_unary(UNARY)(b"")
    assert 7 < left[0] < 10


def test_the_request_id_of_the_caller_travels_on(suite: Suite) -> None:
    with structlog.contextvars.bound_contextvars(request_id="request-7"), suite.channel() as channel:
        channel.unary_unary(UNARY)(b"")
    assert suite.scripted.metadata[REQUEST_ID_KEY] == "request-7"


async def test_the_request_id_of_an_asyncio_caller_travels_on(suite: Suite) -> None:
    with structlog.contextvars.bound_contextvars(request_id="request-8"):
        async with suite.aio_channel() as channel:
            async for _ in channel.unary_stream(STREAM)(b""):
                pass
    assert suite.scripted.metadata[REQUEST_ID_KEY] == "request-8"


def test_a_request_id_in_the_metadata_is_not_doubled(suite: Suite) -> None:
    with structlog.contextvars.bound_contextvars(request_id="bound"), suite.channel() as channel:
        channel.unary_unary(UNARY)(b"", metadata=[(REQUEST_ID_KEY, "given")])
    assert suite.scripted.metadata[REQUEST_ID_KEY] == "given"


def test_inside_a_call_the_request_id_is_bound_for_logs_and_further_calls(suite: Suite) -> None:
    seen: list[object] = []

    def act(context: grpc.ServicerContext) -> bytes:
        seen.append(structlog.contextvars.get_contextvars()["request_id"])
        return b""

    suite.scripted.act = act
    with suite.channel() as channel:
        channel.unary_unary(UNARY)(b"", metadata=[(REQUEST_ID_KEY, "request-9")])
    assert seen == ["request-9"]


def test_a_call_without_a_request_id_is_given_one(suite: Suite) -> None:
    suite.raises(KeyError())
    with suite.bare_channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(UNARY)(b"")
    assert errors.from_rpc_error(caught.value, "scripted").metadata["request_id"]


def test_an_upload_arrives_whole(suite: Suite) -> None:
    with suite.channel() as channel:
        assert channel.stream_unary(UPLOAD)(iter([b"a", b"b"])) == b"ab"


def test_an_exchange_goes_both_ways(suite: Suite) -> None:
    with suite.channel() as channel, channel.stream_stream(EXCHANGE)(iter([b"a", b"b"])) as responses:
        assert list(responses) == [b"a", b"b", b""]


def test_an_exchange_raises_what_the_server_raised(suite: Suite) -> None:
    suite.raises(errors.InvalidParameter("field", "is wrong"))
    with suite.channel() as channel, pytest.raises(errors.InvalidArgument, match="is wrong"):
        list(channel.stream_stream(EXCHANGE)(iter([b"a"])))


async def test_an_asyncio_exchange_goes_both_ways_and_has_the_channels_deadline(suite: Suite) -> None:
    async with suite.aio_channel(timeout_s=7) as channel:
        messages = [message async for message in channel.stream_stream(EXCHANGE)(iter([b"a", b"b"]))]
    assert messages == [b"a", b"b", b""]
    assert 5 < suite.scripted.deadlines[0] < 8


async def test_an_asyncio_exchange_raises_what_the_server_raised(suite: Suite) -> None:
    suite.raises(errors.InvalidParameter("field", "is wrong"))
    async with suite.aio_channel() as channel:
        with pytest.raises(errors.InvalidArgument, match="is wrong"):
            async for _ in channel.stream_stream(EXCHANGE)(iter([b"a"])):
                pass


def test_each_call_is_counted_by_its_outcome(suite: Suite) -> None:
    suite.raises(errors.NotFound("gone", reason="CACHE_EXPIRED"))
    with suite.channel() as channel, pytest.raises(errors.NotFound):
        channel.unary_unary(UNARY)(b"")
    labels = {"method": UNARY, "status": "NOT_FOUND", "reason": "CACHE_EXPIRED"}
    assert suite.registry.get_sample_value("sluice_scripted_rpcs_total", labels) == 1


def test_leaving_a_stream_ends_it_at_the_server(suite: Suite) -> None:
    suite.scripted.act = until_ended(suite)
    with suite.channel() as channel, channel.unary_stream(STREAM)(b"") as responses:
        next(responses)
    assert suite.scripted.ended.wait(10)


async def test_leaving_an_asyncio_stream_ends_it_at_the_server(suite: Suite) -> None:
    suite.scripted.act = until_ended(suite)
    async with suite.aio_channel() as channel:
        responses = channel.unary_stream(STREAM)(b"")
        async for _ in responses:
            break
        responses.cancel()
    assert suite.scripted.ended.wait(10)


def until_ended(suite: Suite) -> Act:
    def act(context: grpc.ServicerContext) -> bytes:
        suite.scripted.ended.wait(30)
        return b""

    return act
