"""The secrets of an installation, one per file: made once, read by those they belong to, never overwritten.

Private keys and passwords stand nowhere else: not in the database (scram verifiers), not in the server's
configuration (public nkeys), not in an environment or on a command line.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nkeys
from joserfc.jwk import OKPKey

from shared.contracts import SERVICES
from shared.contracts.wire import CLIENTS

BUS_USERS = ("provision", "operator", *SERVICES, *CLIENTS, "sys")
SUPERUSER = "postgres"
DATABASE_ROLES = (SUPERUSER, *SERVICES)


class SecretsMissing(Exception):  # noqa: N818 — the operator's word
    """A file that should be there is not; the message names it."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where each secret is, and the public keys of the bus's users."""

    directory: Path
    public_keys: dict[str, str] = field(default_factory=dict)

    def seed_file(self, user: str) -> Path:
        """The nkey seed of a user of the bus."""
        return self.directory / "nats" / f"{user}.nk"

    def password_file(self, role: str) -> Path:
        """The password of a PostgreSQL role."""
        return self.directory / "postgres" / f"{role}.password"

    def password(self, role: str) -> str:
        """The password itself; raises SecretsMissing."""
        return _text(self.password_file(role))

    def receipts_key_file(self, client: str) -> Path:
        """The key (JWK) that one kind of client signs its receipts with."""
        return self.directory / "receipts" / f"{client}.jwk"

    @property
    def receipts_keys_file(self) -> Path:
        """The public keys (JWK set) that receipts verify against: for everybody."""
        return self.directory / "receipts" / "public.jwks"

    @property
    def identity_key_file(self) -> Path:
        """The key (JWK) that actor tokens are signed with: registration's."""
        return self.directory / "identity" / "private.jwk"

    @property
    def identity_keys_file(self) -> Path:
        """The public keys (JWK set) that actor tokens verify against: for every service."""
        return self.directory / "identity" / "public.jwks"


def ensure(directory: Path) -> Secrets:
    """Make what is missing (files 0600, directories 0700); what is there stays as it is."""
    places = Secrets(directory)
    for user in BUS_USERS:
        _make(places.seed_file(user), _new_seed)
    for role in DATABASE_ROLES:
        _make(places.password_file(role), lambda: secrets.token_urlsafe(32))
    for client in CLIENTS:
        _make(places.receipts_key_file(client), lambda name=client: _new_key(name))  # type: ignore[misc]
    _make(places.identity_key_file, lambda: _new_key("identity"))
    _publish(places.receipts_keys_file, [places.receipts_key_file(client) for client in CLIENTS])
    _publish(places.identity_keys_file, [places.identity_key_file])
    return read(directory)


def read(directory: Path) -> Secrets:
    """The secrets that are there, if every user of the bus has one; raises SecretsMissing."""
    places = Secrets(directory)
    return Secrets(directory, {user: _public_nkey(places.seed_file(user)) for user in BUS_USERS})


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        raise SecretsMissing(f"{file} is missing: make the secrets first, or mount them there") from None


def _public_nkey(seed_file: Path) -> str:
    public: bytes = nkeys.from_seed(_text(seed_file).encode()).public_key
    return public.decode()


def _new_seed() -> str:
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


def _new_key(name: str) -> str:
    key = OKPKey.generate_key("Ed25519")
    thumbprint = base64.urlsafe_b64decode(key.thumbprint() + "=").hex()
    return json.dumps({**key.as_dict(private=True), "kid": f"{name}-{thumbprint[:8]}", "alg": "Ed25519", "use": "sig"})


def _make(file: Path, content: Callable[[], str]) -> None:
    """Appears whole or not at all; if another process makes it at the same time, the first one counts."""
    if file.exists():
        return
    draft = _draft(file, content())
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _publish(file: Path, private: Iterable[Path]) -> None:
    """Add public halves that the set lacks; one that is there stays, since something signed may still need it."""
    published = json.loads(file.read_text())["keys"] if file.exists() else []
    known = {key["kid"] for key in published}
    halves = [_public_half(json.loads(path.read_text())) for path in private]
    added = [key for key in halves if key["kid"] not in known]
    if added:
        _draft(file, json.dumps({"keys": [*published, *added]}, indent=1)).replace(file)


def _public_half(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "d"}


def _draft(file: Path, content: str) -> Path:
    for directory in (file.parent.parent, file.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(content + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    return draft
