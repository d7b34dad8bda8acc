"""Receipts: the bus's acceptance of a command, signed with Ed25519 (compact JWS), verifiable offline by anyone.

A receipt file is JSON: the JWS under `receipt` and, for its owner, the very command it is about under `command`.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_seed_keypair
from pydantic import ValidationError

from shared.contracts.wire import Receipt

_ALGORITHM = "Ed25519"


class ReceiptRefused(Exception):  # noqa: N818 — the domain's word
    """Not a receipt of ours, or not of this command; `code` says why, for machines."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def digest(command: bytes) -> str:
    """SHA-256 of a command's JSON as it was sent, in hexadecimal."""
    return hashlib.sha256(command).hexdigest()


class Signer:
    """Signs receipts with the key of one kind of client: by hand, since every command waits for its receipt."""

    def __init__(self, key_file: Path) -> None:
        key = json.loads(key_file.read_text())
        _, self._key = crypto_sign_seed_keypair(urlsafe_b64decode(key["d"] + "=="))
        header = {"alg": _ALGORITHM, "kid": OKPKey.import_key(key).kid, "typ": "conecta-receipt+jws"}
        self._head = _encoded(json.dumps(header, separators=(",", ":")).encode()) + b"."

    def sign(self, receipt: Receipt) -> str:
        """The compact JWS of a receipt."""
        signed = self._head + _encoded(receipt.model_dump_json().encode())
        signature = crypto_sign(signed, self._key)[:crypto_sign_BYTES]
        return (signed + b"." + _encoded(signature)).decode()


def _encoded(data: bytes) -> bytes:
    """Base64url without padding (RFC 7515)."""
    return urlsafe_b64encode(data).rstrip(b"=")


def verify(signed: str, keys_file: Path) -> Receipt:
    """What a signed receipt claims, if one of the published keys signed it; raises ReceiptRefused."""
    try:
        keys = KeySet.import_key_set(json.loads(keys_file.read_text()))
        found = jws.deserialize_compact(signed, keys, algorithms=[_ALGORITHM])
        return Receipt.model_validate_json(found.payload)
    except (JoseError, ValidationError, ValueError, KeyError, TypeError) as error:
        raise ReceiptRefused("not-signed-by-a-published-key") from error


def to_file(path: Path, *, signed: str, command: bytes) -> None:
    """Write a receipt file."""
    content = json.dumps({"receipt": signed, "command": command.decode()}, ensure_ascii=False, indent=1)
    path.write_text(content, encoding="utf-8")


def verify_file(path: Path, keys_file: Path) -> Receipt:
    """Check a receipt file: the signature, and that it is about the command that stands beside it."""
    signed, command = _filed(path)
    receipt = verify(signed, keys_file)
    if command is not None and digest(command) != receipt.sha256:
        raise ReceiptRefused("not-about-this-command")
    return receipt


def _filed(path: Path) -> tuple[str, bytes | None]:
    """The receipt of a file, and the command if it is there; whatever else the file may be raises ReceiptRefused."""
    try:
        content = json.loads(path.read_bytes())
        signed, command = content["receipt"], content.get("command")
        command = None if command is None else command.encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReceiptRefused("not-a-receipt-file") from error
    if not isinstance(signed, str):
        raise ReceiptRefused("not-a-receipt-file")
    return signed, command
