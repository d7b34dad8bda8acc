"""Who speaks: actor tokens (EdDSA JWT) issued by registration and checked by every service on its own.

A token is checked against the time the bus stored the command, not the time it is carried out: what was
accepted while the database was down must not be refused because the database was down for long.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from shared.contracts.people import Role

ISSUER = "conecta-registration"
_ALGORITHM = "Ed25519"
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
    """Checks actor tokens against published keys; signatures that were checked are remembered."""

    def __init__(self, keys_file: Path) -> None:
        self._keys = KeySet.import_key_set(_jwks(keys_file))
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
            claims = jwt.decode(token, self._keys, algorithms=[_ALGORITHM]).claims
            if claims["iss"] != ISSUER:
                raise TokenRefused("token-invalid")
            actor = Actor(
                person_id=UUID(claims["sub"]),
                roles=frozenset(Role(role) for role in claims["roles"]),
                regions=frozenset(claims["regions"]),
            )
            return actor, int(claims["iat"]), int(claims["exp"])
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenRefused("token-invalid") from error


def _jwks(path: Path) -> Any:
    return json.loads(path.read_text())
