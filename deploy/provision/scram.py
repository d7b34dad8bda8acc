"""PostgreSQL's stored form of a password (SCRAM-SHA-256, RFC 5803), made and checked here.

So a password is never part of a statement, which a server may log, and one that is right is left alone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

_ITERATIONS = 4096


def verifier(password: str) -> str:
    """What to store for an ASCII password."""
    return _verifier(password, salt=secrets.token_bytes(16), iterations=_ITERATIONS)


def matches(stored: str | None, password: str) -> bool:
    """Whether what is stored was made from this password."""
    try:
        scheme, rounds, _ = (stored or "").split("$")
        iterations, salt = rounds.split(":")
        expected = _verifier(password, salt=b64decode(salt), iterations=int(iterations))
    except ValueError:  # none, or an md5 hash
        return False
    return scheme == "SCRAM-SHA-256" and hmac.compare_digest(expected, stored or "")


def _verifier(password: str, *, salt: bytes, iterations: int) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(value: bytes) -> str:
    return b64encode(value).decode()
