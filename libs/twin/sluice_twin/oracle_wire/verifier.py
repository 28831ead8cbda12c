"""The server's half of the password logon of 12c (verifier type 0x4815): challenge, check, and its own proof.

The client checks the server as well, so a server must know the password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Parameter: TypeAlias = tuple[bytes, bytes, int]
"""Key, value and flags of one logon parameter."""

_VERIFIER_12C: Final = 0x4815
_ROUNDS: Final = 4096
_KEY_ROUNDS: Final = 3
_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 16


@dataclass(frozen=True)
class Challenge:
    """What the client has to answer, and what the server keeps to check the answer."""

    parameters: tuple[Parameter, ...]
    server_part: bytes
    key_salt: bytes


class Verifier:
    """What a server keeps of one user's password."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._salt = secrets.token_bytes(_BLOCK_BYTES)
        spiced = self._salt + b"AUTH_PBKDF2_SPEEDY_KEY"
        speedy = hashlib.pbkdf2_hmac("sha512", self._password, spiced, _ROUNDS, 64)
        self._hash = hashlib.sha512(speedy + self._salt).digest()[:_KEY_BYTES]

    def challenge(self) -> Challenge:
        """Return a fresh challenge."""
        server_part, key_salt = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_BLOCK_BYTES)
        parameters = (
            (b"AUTH_SESSKEY", _hex(_encrypt(self._hash, server_part)), 0),
            (b"AUTH_VFR_DATA", _hex(self._salt), _VERIFIER_12C),
            (b"AUTH_PBKDF2_CSK_SALT", _hex(key_salt), 0),
            (b"AUTH_PBKDF2_VGEN_COUNT", b"%d" % _ROUNDS, 0),
            (b"AUTH_PBKDF2_SDER_COUNT", b"%d" % _KEY_ROUNDS, 0),
        )
        return Challenge(parameters, server_part, key_salt)

    def proof(self, challenge: Challenge, answer: Mapping[bytes, bytes]) -> bytes | None:
        """Return what proves to the client that the server knows the password; None if the client does not know it."""
        client_key = _unhex(answer.get(b"AUTH_SESSKEY", b""))
        sealed = _unhex(answer.get(b"AUTH_PASSWORD", b""))
        if client_key is None or sealed is None:
            return None
        client_part = _decrypt(self._hash, client_key)[:_KEY_BYTES]
        secret = _hex(client_part + challenge.server_part)
        key = hashlib.pbkdf2_hmac("sha512", secret, challenge.key_salt, _KEY_ROUNDS, _KEY_BYTES)
        plain = _decrypt(key, sealed)
        padding = plain[-1]
        password = plain[_BLOCK_BYTES : len(plain) - padding if padding <= _BLOCK_BYTES else None]
        if not hmac.compare_digest(password, self._password):
            return None
        return _hex(_encrypt(key, secrets.token_bytes(_BLOCK_BYTES) + b"SERVER_TO_CLIENT"))


def _encrypt(key: bytes, data: bytes) -> bytes:
    # The protocol fixes the vector: every secret opens with a random block instead.
    step = Cipher(algorithms.AES(key), modes.CBC(bytes(_BLOCK_BYTES))).encryptor()
    return step.update(data) + step.finalize()


def _decrypt(key: bytes, data: bytes) -> bytes:
    step = Cipher(algorithms.AES(key), modes.CBC(bytes(_BLOCK_BYTES))).decryptor()
    return step.update(data) + step.finalize()


def _hex(data: bytes) -> bytes:
    return data.hex().upper().encode()


def _unhex(text: bytes) -> bytes | None:
    """Return the bytes behind hexadecimal text; None unless they are whole blocks."""
    try:
        data = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    return data if data and len(data) % _BLOCK_BYTES == 0 else None
