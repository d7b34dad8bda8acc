"""Fixtures for every test: provisioned servers, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.contracts.people import Role
from shared.identity import Actor, Authority
from tests.servers import Installation, installed

Token = Callable[..., str]


@pytest.fixture(scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Real PostgreSQL and NATS with everything provisioned, shared by all tests of a run."""
    async with installed(tmp_path_factory.mktemp("installation")) as servers:
        yield servers


@pytest.fixture(scope="session")
def token(installation: Installation) -> Token:
    """Makes actor tokens: `token(person_id, Role.ORGANISER, regions=["08"])`."""
    authority = Authority(installation.secrets.identity_key_file)

    def make(person_id: UUID, *roles: Role, regions: tuple[str, ...] = ()) -> str:
        return authority.issue(Actor(person_id, frozenset(roles), frozenset(regions)), now=datetime.now(UTC))

    return make
