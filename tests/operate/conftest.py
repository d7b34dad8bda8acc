"""Servers of these tests' own, whose streams they delete; tokens and a bench that belong to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.contracts.people import Role
from shared.identity import Actor, Authority
from tests.conftest import Token
from tests.servers import Installation, installed
from tests.shared.conftest import bench

__all__ = ["bench"]


@pytest.fixture(scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """PostgreSQL and NATS, provisioned, for the operators' tools alone."""
    async with installed(tmp_path_factory.mktemp("operated")) as servers:
        yield servers


@pytest.fixture(scope="session")
def token(installation: Installation) -> Token:
    """Makes actor tokens for these servers."""
    authority = Authority(installation.secrets.identity_key_file)

    def make(person_id: UUID, *roles: Role, regions: tuple[str, ...] = ()) -> str:
        return authority.issue(Actor(person_id, frozenset(roles), frozenset(regions)), now=datetime.now(UTC))

    return make
