"""The one family of errors, from the place that knows the fact to the wire and back.

    ServiceError
    ├── InvalidArgument ── InvalidParameter
    ├── NotFound
    ├── FailedPrecondition
    ├── OutOfRange
    ├── ResourceExhausted
    ├── Unavailable ── ServiceUnavailable
    ├── DeadlineExceeded ── QueryTimeout
    ├── Cancelled
    ├── Unauthenticated
    ├── PermissionDenied
    └── Internal ── InternalFault

A leaf is named for the fact and lives in the `errors.py` of the package that raises it; it sets `reason` to a name of
`sluice.error.v1.ErrorCode` without its prefix. Bases are what a caller gets back from a remote process. What a code
means over gRPC and HTTP, and when to try again, is said once, in `codes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from sluice_rpc.codes import CODES

DOMAIN = "sluice"


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request and what is wrong with it, in words that name the fix."""

    field: str
    description: str


class ServiceError(Exception):
    """A failure that callers may see: a stable reason, a message for people, metadata for programs.

    Args:
        message: for people; no SQL, no row values, no addresses of machines.
        reason: only for errors rebuilt from the wire; leaves carry their own.
        retry_after_s: when trying again makes sense, in seconds; None is what the class, else the table, says.
        violations: fields at fault.
        metadata: each variable of the message again, as text.
    """

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    reason: str = "INTERNAL"
    retry_after_s: float | None = None

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        retry_after_s: float | None = None,
        violations: Sequence[FieldViolation] = (),
        **metadata: object,
    ) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s
        elif self.retry_after_s is None and self.reason in CODES:
            self.retry_after_s = CODES[self.reason].retry_after_s
        self.violations = tuple(violations)
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvalidArgument(ServiceError):
    """The request is wrong whatever the state of the system."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_PARAMETER"


class NotFound(ServiceError):
    """What the request names is not there."""

    status = grpc.StatusCode.NOT_FOUND


class FailedPrecondition(ServiceError):
    """The state of the system forbids it now."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class OutOfRange(ServiceError):
    """More than a limit allows."""

    status = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(ServiceError):
    """The caller's own share is used up."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "RATE_LIMITED"


class Unavailable(ServiceError):
    """Something that should be there is not, for now."""

    status = grpc.StatusCode.UNAVAILABLE
    reason = "SERVICE_UNAVAILABLE"


class DeadlineExceeded(ServiceError):
    """Time ran out."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "QUERY_TIMEOUT"


class Cancelled(ServiceError):
    """Somebody withdrew it."""

    status = grpc.StatusCode.CANCELLED
    reason = "CANCELLED"


class Unauthenticated(ServiceError):
    """The caller has no identity where one is required."""

    status = grpc.StatusCode.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDenied(ServiceError):
    """The caller is known and may not do this."""

    status = grpc.StatusCode.PERMISSION_DENIED
    reason = "FORBIDDEN"


class Internal(ServiceError):
    """A promise between parts of the system, or with the warehouse, is broken."""

    status = grpc.StatusCode.INTERNAL
    reason = "INTERNAL"


class InvalidParameter(InvalidArgument):
    """A parameter is missing, malformed or out of range."""

    reason = "INVALID_PARAMETER"

    def __init__(self, field: str, description: str, *more: FieldViolation) -> None:
        violations = (FieldViolation(field, description), *more)
        message = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
        super().__init__(message, violations=violations, field=field)

    @classmethod
    def of(cls, violations: Sequence[FieldViolation]) -> InvalidParameter:
        """Return one error for all violations, which must not be empty."""
        first, *rest = violations
        return cls(first.field, first.description, *rest)


class ServiceUnavailable(Unavailable):
    """A Sluice process is down or starting."""

    reason = "SERVICE_UNAVAILABLE"

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} cannot be reached", service=service)


class QueryTimeout(DeadlineExceeded):
    """A statement, chunk or call ran out of time."""

    reason = "QUERY_TIMEOUT"


class InternalFault(Internal):
    """A fault of ours; the log has the rest under the request id."""

    reason = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__("internal error", request_id=request_id)


_BASES: tuple[type[ServiceError], ...] = (
    InvalidArgument,
    NotFound,
    FailedPrecondition,
    OutOfRange,
    ResourceExhausted,
    Unavailable,
    DeadlineExceeded,
    Cancelled,
    Unauthenticated,
    PermissionDenied,
    Internal,
)
_BASE_BY_STATUS = {base.status: base for base in _BASES}


def of_reason(reason: str, message: str, **metadata: object) -> ServiceError:
    """Return an error that is known by its code alone, as a query keeps it; an unknown code is one of ours too."""
    known = CODES.get(reason)
    base = _BASE_BY_STATUS[known.status] if known else Internal
    error = base(message, reason=reason)
    error.metadata = {key: str(value) for key, value in metadata.items()}
    return error


def to_status(error: ServiceError) -> status_pb2.Status:
    """Return the error as google.rpc.Status: one ErrorInfo, plus BadRequest or RetryInfo where they apply."""
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    packed = [_pack(detail) for detail in details]
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=item.field, description=item.description)
            for item in error.violations
        ]
        packed.append(_pack(error_details_pb2.BadRequest(field_violations=violations)))
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        packed.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=error.status.value[0], message=error.message, details=packed)


def from_rpc_error(error: grpc.RpcError, service: str) -> ServiceError:
    """Rebuild the error that a remote process raised; by code and reason, never by class name.

    Args:
        error: what grpc raised; its code and trailers are read.
        service: who was called, for errors that came from the channel and not from a process.
    """
    # Both the sync and the asyncio error have `code()`, and no common type that says so.
    code: grpc.StatusCode = getattr(error, "code", lambda: grpc.StatusCode.UNKNOWN)()
    status = _status_of(error)
    if status is None:
        return _without_details(code, service)
    base = _BASE_BY_STATUS.get(code, Internal)
    reason = None
    metadata: dict[str, str] = {}
    violations: list[FieldViolation] = []
    retry_after_s = None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request):
            violations = [FieldViolation(item.field, item.description) for item in bad_request.field_violations]
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
    rebuilt = base(status.message, reason=reason, retry_after_s=retry_after_s, violations=violations)
    rebuilt.metadata = metadata
    return rebuilt


def _without_details(code: grpc.StatusCode, service: str) -> ServiceError:
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return ServiceUnavailable(service)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return QueryTimeout(f"{service} did not answer in time")
    if code is grpc.StatusCode.CANCELLED:
        return Cancelled(f"the call to {service} was cancelled")
    return Internal(f"{service} answered {code.name}")


def _status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    trailers = getattr(error, "trailing_metadata", lambda: None)()
    if trailers is None:
        return None
    for key, value in trailers:
        if key == rpc_status.GRPC_DETAILS_METADATA_KEY:
            return status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode("latin-1"))
    return None


def _pack(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
