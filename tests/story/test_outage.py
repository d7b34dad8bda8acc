"""PostgreSQL goes away while applications are being sent: every one gets a receipt, and later its outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from clients.cli.call_file import CallFile
from deploy.embedded.stack import Options, Stack, running
from shared import receipts
from shared.client import Client, connected
from shared.contracts.aid_calls import CallResults, CallResultsAnswer, CreateCall, ServiceStatus, SubmitApplication
from shared.contracts.people import Role, Sector
from shared.contracts.status import ServiceStatusAnswer
from shared.identity import Actor, Authority

APPLICATIONS = 300


def token(stack: Stack, person: UUID, role: Role) -> str:
    authority = Authority(stack.secrets.identity_key_file)
    return authority.issue(Actor(person, frozenset({role})), now=datetime.now(UTC))


async def opened(client: Client, call: CallFile, organiser: str) -> UUID:
    now = datetime.now(UTC)
    rules = call.rules(opens_at=now, closes_at=now + timedelta(hours=1))
    command = CreateCall(call_id=uuid7(), **rules.model_dump())
    assert (await client.execute(command, actor=organiser)).applied
    return command.call_id


def application(call_id: UUID) -> SubmitApplication:
    return SubmitApplication.model_validate(
        {
            "application_id": uuid7(),
            "call_id": call_id,
            "region": "15",
            "birth": "1990-05-04",
            "sector": Sector.MUSIC,
            "requested": "500.00",
            "project": "Festival de verano",
        }
    )


async def test_applications_are_received_while_postgresql_is_away_and_decided_when_it_is_back(
    tmp_path: Path, call: CallFile
) -> None:
    async with (
        running(tmp_path, options=Options(sync_interval="2m"), handle_signals=False) as stack,
        connected(stack.client_settings(instance="outage")) as client,
    ):
        organiser = token(stack, uuid7(), Role.ORGANISER)
        call_id = await opened(client, call, organiser)
        flying = []
        for number in range(APPLICATIONS):
            if number == APPLICATIONS // 3:
                await stack.supervisor.stop("postgres")
            actor = token(stack, uuid7(), Role.PARTICIPANT)
            flying.append(await client.dispatch(application(call_id), actor=actor))
        accepted = await asyncio.gather(*(one.accepted() for one in flying))
        keys = stack.secrets.receipts_keys_file
        verified = [receipts.verify(one.signed, keys) for one in accepted]
        assert [one.command_id for one in verified] == [one.command_id for one in flying]

        await stack.supervisor.start("postgres")
        outcomes = await asyncio.gather(*(one.outcome(seconds=60) for one in flying))
        assert Counter(outcome.applied for outcome in outcomes if outcome) == {True: APPLICATIONS}
        assert [outcome.stored_at for outcome in outcomes if outcome] == [one.stored_at for one in verified]
        results = await client.ask(CallResults(call_id=call_id), CallResultsAnswer, actor=organiser)
        assert results.applications == APPLICATIONS
        status = await client.ask(ServiceStatus(), ServiceStatusAnswer, actor=organiser)
        assert sum(consumer.parked for consumer in status.consumers) == 0
        restarts = {name: stack.supervisor.restarts(name) for name in ("aid_calls", "evaluation", "registration")}
        assert restarts == dict.fromkeys(restarts, 0)
