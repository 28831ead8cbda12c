"""Opaque page tokens, bound to the other arguments of their request (AIP-158)."""

from __future__ import annotations

import base64
import binascii
import hashlib

from sluice_rpc.errors import InvalidParameter

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


def page_size_of(asked: int) -> int:
    """Return the page size to use: 0 means 50, above 200 is read as 200.

    Raises:
        InvalidParameter: it is negative.
    """
    if asked < 0:
        raise InvalidParameter("page_size", "is negative; 0 means the default")
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def encode_token(after: str, arguments: str) -> str:
    """Return the token of the page that follows the entry named `after`."""
    return base64.urlsafe_b64encode(f"{_seal(after, arguments)}{after}".encode()).decode()


def decode_token(token: str, arguments: str) -> str:
    """Return the entry after which the page begins; empty for the first page.

    Raises:
        InvalidParameter: the token is not one of ours, or belongs to a request with other arguments.
    """
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidParameter("page_token", "is not a token of this list") from None
    seal, after = text[:_SEAL_LENGTH], text[_SEAL_LENGTH:]
    if seal != _seal(after, arguments):
        raise InvalidParameter("page_token", "belongs to a request with other arguments")
    return after


_SEAL_LENGTH = 12


def _seal(after: str, arguments: str) -> str:
    return hashlib.sha256(f"{arguments}\n{after}".encode()).hexdigest()[:_SEAL_LENGTH]
