"""A service is killed: in the middle of its work, and at every point where a kill could cost or double something."""

from __future__ import annotations

import pytest

from shared.contracts import SERVICES
from tests.faults.case import suffer
from tests.faults.ground import Ground
from tests.faults.season import Season

# Mails that may be in the mail server's hands without being noted: two per connection.
IN_FLIGHT = 8


@pytest.mark.faults
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_killed_in_the_middle_of_its_work(ground: Ground, seed: int, service: str) -> None:
    async def kill(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.kill(service)

    resent = IN_FLIGHT if service == "notifications" else 0
    await suffer(ground, f"kill -9 {service}", kill, seed=seed, victims={service}, resent=resent)


async def die(ground: Ground, seed: int, service: str, point: str, *, resent: int = 0) -> None:
    async def fault(ground: Ground, _: Season) -> None:
        await ground.orders.die(service, point)

    await suffer(ground, f"kill -9 {service} {point}", fault, seed=seed, victims={service}, resent=resent)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["before-commit", "after-commit", "after-acknowledgement"])
@pytest.mark.parametrize("service", ["registration", "aid_calls", "evaluation"])
async def test_a_service_is_killed_around_its_commit(ground: Ground, seed: int, service: str, point: str) -> None:
    await die(ground, seed, service, point)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["published", "noted"])
@pytest.mark.parametrize("service", ["registration", "aid_calls", "evaluation"])
async def test_a_relay_is_killed_around_noting_what_it_published(
    ground: Ground, seed: int, service: str, point: str
) -> None:
    await die(ground, seed, service, point)


@pytest.mark.faults
@pytest.mark.parametrize("service", ["evaluation", "notifications"])
async def test_a_hearer_is_killed_before_it_commits(ground: Ground, seed: int, service: str) -> None:
    await die(ground, seed, service, "heard-before-commit", resent=IN_FLIGHT if service == "notifications" else 0)


@pytest.mark.faults
async def test_a_mailer_is_killed_when_a_mail_is_taken_and_not_noted(ground: Ground, seed: int) -> None:
    await die(ground, seed, "notifications", "mail-taken", resent=IN_FLIGHT)
