"""Errors over a real connection: what is raised on one side is what is caught on the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import pytest
from sluice.error.v1 import error_code_pb2
from sluice_rpc import errors
from sluice_rpc.errors import FieldViolation, InvalidParameter, ServiceError

from tests.unit.rpc.scripted import STREAM, UNARY, UPLOAD, Suite

pytestmark = pytest.mark.anyio

Call = Callable[[Suite], Awaitable[None]]

BASES = [
    errors.InvalidArgument,
    errors.NotFound,
    errors.FailedPrecondition,
    errors.OutOfRange,
    errors.ResourceExhausted,
    errors.Unavailable,
    errors.DeadlineExceeded,
    errors.Cancelled,
    errors.Unauthenticated,
    errors.PermissionDenied,
    errors.Internal,
]


async def call_unary(suite: Suite) -> None:
    with suite.channel() as channel:
        channel.unary_unary(UNARY)(b"")


async def call_stream(suite: Suite) -> None:
    with suite.channel() as channel:
        list(channel.unary_stream(STREAM)(b""))


async def call_upload(suite: Suite) -> None:
    with suite.channel() as channel:
        channel.stream_unary(UPLOAD)(iter([b"a", b"b"]))


async def call_aio_unary(suite: Suite) -> None:
    async with suite.aio_channel() as channel:
        await channel.unary_unary(UNARY)(b"")


async def call_aio_stream(suite: Suite) -> None:
    async with suite.aio_channel() as channel:
        async for _ in channel.unary_stream(STREAM)(b""):
            pass


CALLS = [call_unary, call_stream, call_upload, call_aio_unary, call_aio_stream]


async def failure(suite: Suite, call: Call) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await call(suite)
    return caught.value


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("base", BASES)
async def test_every_base_comes_back_as_itself(suite: Suite, base: type[ServiceError], call: Call) -> None:
    suite.raises(base("the fact", reason="SOME_REASON", limit=5))
    caught = await failure(suite, call)
    assert (type(caught), caught.message, caught.reason, caught.metadata) == (
        base,
        "the fact",
        "SOME_REASON",
        {"limit": "5"},
    )


@pytest.mark.parametrize("call", CALLS)
async def test_each_field_at_fault_comes_back(suite: Suite, call: Call) -> None:
    violations = (FieldViolation("start_date", "is after end_date"), FieldViolation("lots[3]", "is blank"))
    suite.raises(InvalidParameter.of(violations))
    assert (await failure(suite, call)).violations == violations


@pytest.mark.parametrize("call", CALLS)
async def test_when_to_try_again_comes_back(suite: Suite, call: Call) -> None:
    suite.raises(errors.Unavailable("away", retry_after_s=2.5))
    assert (await failure(suite, call)).retry_after_s == 2.5


async def test_what_needs_no_retry_names_none(suite: Suite) -> None:
    suite.raises(errors.NotFound("gone"))
    assert (await failure(suite, call_unary)).retry_after_s is None


@pytest.mark.parametrize("call", CALLS)
async def test_an_unknown_exception_leaves_with_a_request_id_and_no_text(suite: Suite, call: Call) -> None:
    suite.raises(KeyError("secret lot name"))
    caught = await failure(suite, call)
    assert (type(caught), caught.reason, caught.message) == (errors.Internal, "INTERNAL", "internal error")
    assert caught.metadata["request_id"]


async def test_text_outside_ascii_comes_back_whole(suite: Suite) -> None:
    suite.raises(errors.NotFound("站點 „Löten“ fehlt", station="站點"))
    caught = await failure(suite, call_unary)
    assert (caught.message, caught.metadata) == ("站點 „Löten“ fehlt", {"station": "站點"})


def test_the_first_message_of_a_stream_comes_before_its_error(suite: Suite) -> None:
    suite.raises(errors.NotFound("gone"))
    with suite.channel() as channel:
        responses = channel.unary_stream(STREAM)(b"")
        assert next(responses) == b"first"
        with pytest.raises(errors.NotFound):
            next(responses)


@pytest.mark.parametrize("call", CALLS)
async def test_a_process_that_is_down_is_named(suite: Suite, call: Call) -> None:
    suite.server.stop(0)
    caught = await failure(suite, call)
    assert (caught.reason, caught.metadata) == ("SERVICE_UNAVAILABLE", {"service": "scripted"})


def test_a_method_that_is_not_served_is_a_fault_of_ours(suite: Suite) -> None:
    with suite.channel() as channel, pytest.raises(errors.Internal, match="UNIMPLEMENTED"):
        channel.unary_unary("/test.Scripted/Missing")(b"")


def test_a_deadline_that_passes_is_a_timeout(suite: Suite) -> None:
    def act(context: grpc.ServicerContext) -> bytes:
        suite.scripted.ended.wait(30)
        return b""

    suite.scripted.act = act
    with suite.channel() as channel, pytest.raises(errors.DeadlineExceeded) as caught:
        channel.unary_unary(UNARY)(b"", timeout=0.1)
    assert caught.value.reason == "QUERY_TIMEOUT"


@pytest.mark.parametrize("base", BASES)
def test_every_reason_of_a_base_is_in_the_contract(base: type[ServiceError]) -> None:
    assert f"ERROR_CODE_{base.reason}" in error_code_pb2.ErrorCode.DESCRIPTOR.values_by_name


def test_the_status_of_an_error_has_exactly_one_error_info() -> None:
    status = errors.to_status(InvalidParameter("page", "is negative"))
    kinds = [detail.TypeName() for detail in status.details]
    assert kinds == ["google.rpc.ErrorInfo", "google.rpc.BadRequest"]
