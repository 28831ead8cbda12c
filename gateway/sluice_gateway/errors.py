"""What can go wrong before or beside a gRPC call.

    ServiceError
    ├── NotFound ── DatasetNotFound, ViewNotFound
    ├── PermissionDenied ── NotYours
    ├── OutOfRange ── TooManyRows, TextTooLong, TooManyIdBytes, TooManyForJson
    └── InvalidArgument ── InvalidParameter ── RequestRefused
                                               ├── NoSuchPath
                                               ├── MethodNotAllowed
                                               ├── NoSuchSaved
                                               ├── TooManySaved
                                               ├── BodyTooLarge
                                               ├── UnsupportedMediaType
                                               └── RequestBroken

`RequestRefused` is for what HTTP has a status of its own for: its code stays INVALID_PARAMETER, so that programs need
not learn a second list.
"""

from __future__ import annotations

from sluice_rpc.errors import InvalidParameter, NotFound, OutOfRange, PermissionDenied

_SHOWN_CHARS = 80


def shortened(text: str) -> str:
    """Return `text` fit for a message: at most 80 characters, each of which UTF-8 can carry."""
    cut = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")


class DatasetNotFound(NotFound):
    """No dataset has this name or route."""

    reason = "DATASET_NOT_FOUND"

    def __init__(self, dataset: str) -> None:
        super().__init__(f"dataset {shortened(dataset)!r} does not exist", dataset=shortened(dataset))


class ViewNotFound(NotFound):
    """The dataset has no such view."""

    reason = "VIEW_NOT_FOUND"

    def __init__(self, dataset: str, view: str) -> None:
        super().__init__(f"dataset {dataset!r} has no view {shortened(view)!r}", dataset=dataset, view=shortened(view))


class TooManyRows(OutOfRange):
    """A sheet does not hold so many rows."""

    reason = "RESULT_TOO_LARGE"

    def __init__(self, limit: int, observed: int) -> None:
        super().__init__(
            f"{observed:,} rows are more than the {limit:,} that xlsx holds; csv, parquet and arrow hold any number",
            limit=str(limit),
            observed=str(observed),
            formats="csv,parquet,arrow",
        )


class TextTooLong(OutOfRange):
    """A cell does not hold so long a text."""

    reason = "RESULT_TOO_LARGE"

    def __init__(self, column: str, limit: int) -> None:
        super().__init__(
            f"a text in column {column} is longer than the {limit:,} characters that a cell of xlsx holds; "
            "csv, parquet and arrow hold any length",
            column=column,
            limit=str(limit),
            formats="csv,parquet,arrow",
        )


class TooManyIdBytes(OutOfRange):
    """The ids of one request do not fit into a message to lineage."""

    reason = "TOO_MANY_IDS"

    def __init__(self, limit_bytes: int, observed_bytes: int) -> None:
        super().__init__(
            f"the ids take {observed_bytes:,} bytes, at most {limit_bytes:,} fit; ask for fewer at once",
            limit=limit_bytes,
            observed=observed_bytes,
        )


class TooManyForJson(OutOfRange):
    """JSON does not take so many rows."""

    reason = "RESULT_TOO_LARGE"

    def __init__(self, limit: int, observed: int, media_type: str) -> None:
        super().__init__(
            f"{observed:,} rows are more than the {limit:,} that JSON takes; accept {media_type} for any number",
            limit=limit,
            observed=observed,
            formats=media_type,
        )


class RequestRefused(InvalidParameter):
    """The request cannot be taken as it is, and HTTP has a status of its own for it."""

    http_status = 400


class NoSuchPath(RequestRefused):
    """Nothing is served under this path."""

    http_status = 404

    def __init__(self) -> None:
        super().__init__("path", "nothing is served here; /openapi.json lists what is")


class NoSuchSaved(RequestRefused):
    """No saved view or short link has this id, or it is somebody else's own."""

    http_status = 404

    def __init__(self, given: str) -> None:
        super().__init__("id", f"{shortened(given)!r} names nothing that is kept; what nobody opens is forgotten")


class NotYours(PermissionDenied):
    """Others may look at this view, its owner alone may forget it."""

    reason = "FORBIDDEN"

    def __init__(self) -> None:
        super().__init__("this view belongs to somebody else")


class TooManySaved(RequestRefused):
    """One owner keeps so many views and no more."""

    http_status = 409

    def __init__(self, limit: int) -> None:
        super().__init__("name", f"would be one view more than the {limit:,} that one may keep; forget some first")
        self.metadata["limit"] = str(limit)


class MethodNotAllowed(RequestRefused):
    """The path exists, the method does not."""

    http_status = 405

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__("method", f"{shortened(method)} is not allowed here; allowed are {allowed}")
        self.allowed = allowed


class BodyTooLarge(RequestRefused):
    """The body is longer than the gateway takes."""

    http_status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__("body", f"is longer than {limit_bytes:,} bytes")
        self.metadata["limit_bytes"] = str(limit_bytes)


class UnsupportedMediaType(RequestRefused):
    """The body is not JSON by its own account."""

    http_status = 415

    def __init__(self, given: str) -> None:
        named = shortened(given) if given else "nothing"
        super().__init__("content-type", f"must be application/json, not {named}")


class RequestBroken(RequestRefused):
    """What the framework refused by itself, under the status it chose."""

    def __init__(self, http_status: int, description: str) -> None:
        super().__init__("request", description)
        self.http_status = http_status


class ClientLeft(Exception):
    """The client closed its connection before the answer; there is nobody to tell."""


class AnswerCut(Exception):
    """The answer broke after its first bytes were sent, so the connection ends without the end of the body."""
