"""Who speaks: actor tokens (EdDSA JWT) issued by registration and checked by every service on its own.

A token is checked against the time the bus stored the command, not the time it is carried out: what was
accepted while the database was down must not be refused because the database was down for long.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import OKPKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

from shared.contracts.people import Role

ISSUER = "conecta-registration"
_ALGORITHM = "Ed25519"
_SIGNATURE = 64  # bytes
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Actor:
    """A person and what they may act as; `regions` empty means all regions."""

    person_id: UUID
    roles: frozenset[Role] = frozenset()
    regions: frozenset[str] = field(default_factory=frozenset)

    def is_one_of(self, roles: frozenset[Role] | set[Role]) -> bool:
        """Whether the person has any of these roles."""
        return not self.roles.isdisjoint(roles)

    def covers(self, region: str | None) -> bool:
        """Whether the person's roles extend to this region."""
        return not self.regions or region in self.regions


class TokenRefused(Exception):  # noqa: N818 — the domain's word
    """The token does not speak for anybody; `code` says why, for machines."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Authority:
    """Issues actor tokens: registration at login, and the embedded stack for its own people."""

    def __init__(self, key_file: Path) -> None:
        self._key = OKPKey.import_key(json.loads(key_file.read_text()))

    def issue(self, actor: Actor, *, now: datetime, lifetime: timedelta = timedelta(hours=1)) -> str:
        """A token that speaks for the actor from now on, for the lifetime."""
        return jwt.encode(
            {"alg": _ALGORITHM, "kid": self._key.kid},
            {
                "iss": ISSUER,
                "sub": str(actor.person_id),
                "roles": sorted(actor.roles),
                "regions": sorted(actor.regions),
                "iat": int(now.timestamp()),
                "exp": int((now + lifetime).timestamp()),
            },
            self._key,
            algorithms=[_ALGORITHM],
        )


class Verifier:
    """Checks actor tokens against published keys; signatures that were checked are remembered.

    By hand and with libsodium, since every applicant's token is a new one: a third of the time of joserfc.
    """

    def __init__(self, keys_file: Path) -> None:
        published = json.loads(keys_file.read_text())["keys"]
        self._keys = {key["kid"]: _decoded(key["x"]) for key in published if key.get("crv") == "Ed25519"}
        self._known: OrderedDict[str, tuple[Actor, int, int]] = OrderedDict()

    def actor(self, token: str, *, at: datetime) -> Actor:
        """Whom the token spoke for at that instant; raises TokenRefused."""
        known = self._known.get(token)
        if known is None:
            known = self._read(token)
            self._known[token] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        actor, issued, expires = known
        moment = at.timestamp()
        if moment >= expires:
            raise TokenRefused("token-expired")
        if moment < issued - 60:
            raise TokenRefused("token-not-yet-valid")
        return actor

    def _read(self, token: str) -> tuple[Actor, int, int]:
        try:
            claims = self._claims(token)
            if claims["iss"] != ISSUER:
                raise TokenRefused("token-invalid")
            actor = Actor(
                person_id=UUID(claims["sub"]),
                roles=frozenset(Role(role) for role in claims["roles"]),
                regions=frozenset(claims["regions"]),
            )
            return actor, int(claims["iat"]), int(claims["exp"])
        except (CryptoError, NotBase64, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TokenRefused("token-invalid") from error

    def _claims(self, token: str) -> Any:
        """What a compact JWS claims, signed by the published key that it names, and by no other algorithm than ours."""
        signed, _, signature = token.encode("ascii").rpartition(b".")
        head, _, payload = signed.partition(b".")
        header = json.loads(_decoded(head))
        if header["alg"] != _ALGORITHM or "crit" in header:
            raise TokenRefused("token-invalid")
        proof = _decoded(signature)
        if len(proof) != _SIGNATURE:
            raise TokenRefused("token-invalid")
        crypto_sign_open(proof + signed, self._keys[header["kid"]])
        return json.loads(_decoded(payload))


def _decoded(text: str | bytes) -> bytes:
    """Base64url without padding (RFC 7515); raises NotBase64."""
    data = text.encode() if isinstance(text, str) else text
    return urlsafe_b64decode(data + b"=" * (-len(data) % 4))
