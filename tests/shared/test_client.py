"""The client library on a real bus: receipts, following, and an error for each thing that can be away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from deploy.embedded.ports import free_port
from shared import receipts
from shared.client import BusUnreachable, NoSuchService, ServiceSilent, TooLarge, connected
from shared.contracts.aid_calls import Call, CallAnswer, WithdrawApplication
from shared.contracts.people import Role
from shared.settings import ClientSettings
from tests.conftest import Token
from tests.servers import Installation
from tests.shared.conftest import Bench, connect


async def test_a_receipt_verifies_offline_and_names_what_was_stored(bench: Bench, token: Token, tmp_path: Path) -> None:
    command = WithdrawApplication(application_id=uuid7())
    accepted = await bench.client.send(command, actor=token(uuid7(), Role.PARTICIPANT))
    keys = bench.installation.secrets.receipts_keys_file
    file = tmp_path / "receipt.json"
    receipts.to_file(file, signed=accepted.signed, command=accepted.command)
    assert receipts.verify_file(file, keys) == accepted.receipt
    bus = await connect(bench.installation.provision_settings(), "provision")
    stored = await bus.jetstream().get_msg("COMMANDS", seq=accepted.receipt.sequence)
    assert stored.headers is not None
    assert stored.headers["Nats-Msg-Id"] == str(accepted.receipt.command_id)
    assert accepted.command in (stored.data or b"")
    await bus.close()


async def test_sending_again_with_the_same_id_gives_the_same_receipt(bench: Bench, token: Token) -> None:
    command, actor = WithdrawApplication(application_id=uuid7()), token(uuid7(), Role.PARTICIPANT)
    command_id = uuid7()
    first = await bench.client.dispatch(command, actor=actor, command_id=command_id)
    second = await bench.client.dispatch(command, actor=actor, command_id=command_id)
    one, two = await asyncio.gather(first.accepted(), second.accepted())
    assert one.receipt == two.receipt


async def test_a_command_that_is_too_large_is_told_at_once(bench: Bench, token: Token) -> None:
    command = WithdrawApplication(application_id=uuid7())
    with pytest.raises(TooLarge):
        await bench.client.send(command, actor=token(uuid7(), Role.PARTICIPANT) + "x" * 300_000)


async def test_a_question_that_nobody_answers_fails_at_once(bench: Bench) -> None:
    async with asyncio.timeout(2):
        with pytest.raises(NoSuchService):
            await bench.client.ask(Call(code="NOBODY"), CallAnswer)


async def test_a_question_that_is_not_answered_in_time_says_so(bench: Bench) -> None:
    async def ignore(_: object) -> None:
        return

    silent = await bench.bus.subscribe(Call.subject(), cb=ignore)
    for _ in range(2):  # nats-py writes the ping of a flush before what is still pending: the second is a barrier
        await bench.bus.flush()
    with pytest.raises(ServiceSilent):
        await bench.client.ask(Call(code="NOBODY"), CallAnswer, seconds=0.3)
    await silent.unsubscribe()


async def test_a_bus_that_is_not_there_is_unreachable(installation: Installation) -> None:
    settings = installation.client_settings()
    nowhere = ClientSettings.model_validate({**settings.model_dump(), "nats_urls": f"nats://127.0.0.1:{free_port()}"})
    with pytest.raises(BusUnreachable):
        async with connected(nowhere, patience=1):
            pytest.fail("connected to nothing")
