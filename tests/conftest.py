"""Fixtures for every test: provisioned servers, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings

from shared.contracts.people import Role
from shared.identity import Actor, Authority
from tests.servers import Installation, installed

# The machines are shared and noisy: an example may take as long as it takes.
settings.register_profile("conecta", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("conecta")

Token = Callable[..., str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make faults` says."""
    parser.addoption("--faults", action="store_true", help="run every fault, not only the quick ones")
    parser.addoption("--faults-seed", help="draw the moments of faults from this number")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The whole of the faults takes long: left out unless asked for."""
    if not config.getoption("--faults"):
        left = [item for item in items if item.get_closest_marker("faults")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


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
