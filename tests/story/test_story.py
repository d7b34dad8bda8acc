"""A story as its user tells it, and what must not be found afterwards: personal data in logs or facts."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import pytest
from uuid_utils.compat import uuid7

from clients.cli.call_file import CallFile
from clients.cli.registrations_file import RegistrationsFile
from deploy.embedded.mailbox.store import MailStore
from deploy.embedded.stack import Options, Stack, running
from deploy.story import play_on
from shared.client import connected
from shared.contracts import COMMANDS, SERVICES, aid_calls, evaluation, notifications, registration
from shared.contracts.people import Role
from shared.contracts.status import ServiceStatusAnswer
from shared.identity import Actor, Authority
from shared.messaging.bus import connect_options
from shared.settings import BusSettings
from tests.story.conftest import CALL, MAILS, REGISTRATIONS

SAMPLES = Path(__file__).parents[1] / "contracts" / "samples"


async def conecta(*arguments: str | Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.cli",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_sample_story_gives_the_figures_that_were_worked_out_by_hand(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    figures, kept = tmp_path / "figures.json", tmp_path / "kept"
    code, out, err = await conecta(
        "story", "--registrations", REGISTRATIONS, "--call", CALL, "--json", figures, "--keep", kept
    )
    assert code == 0, err
    found = json.loads(figures.read_text())
    assert {key: found[key] for key in expected} == expected
    assert set(found) == {*expected, "report"}
    assert found["report"]["pen"] == expected["total_awarded"]
    assert "Ayudas otorgadas" in out
    assert len(list((kept / "mails").glob("*.eml"))) == sum(MAILS.values())
    receipts = kept / "receipts"
    code, out, _ = await conecta("receipt", "verify", receipts / "A001.json", "--keys", receipts / "public.jwks")
    assert (code, json.loads(out)["stream"]) == (0, "COMMANDS")


async def test_files_that_cannot_be_played_are_told_before_anything_starts(tmp_path: Path) -> None:
    call = json.loads(CALL.read_text())
    call["call"]["criteria"][0]["weight"] = 31
    call["applications"][3]["region"] = "99"
    call["reviews"][0]["scores"]["relevance"] = 11
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(call))
    code, _, err = await conecta("story", "--registrations", REGISTRATIONS, "--call", bad, "--keep", tmp_path / "kept")
    assert code == 2
    assert "postulación 4 (A004), region: no es una región del Perú" in err
    assert not (tmp_path / "kept").exists()


@pytest.fixture(scope="module")
def personal(people: RegistrationsFile, call: CallFile) -> set[str]:
    """What must not be found: documents, addresses, telephones."""
    known = {one.person.document.number for one in people.people if one.person.document}
    known |= {one.person.email for one in people.people} | {one.email for one in call.applications}
    known |= {one.person.phone for one in people.people if one.person.phone} | {one.dni for one in call.applications}
    return {value.lower() for value in known} | {"huamán", "huam\\u00e1n", "mamani", "quispe"}


@pytest.fixture(scope="module")
async def played(
    tmp_path_factory: pytest.TempPathFactory, people: RegistrationsFile, call: CallFile
) -> AsyncIterator[Stack]:
    """A running stack on which the sample story was played."""
    options = Options(sync_interval="2m")
    async with running(tmp_path_factory.mktemp("played"), options=options, handle_signals=False) as stack:
        await play_on(stack, people, call)
        yield stack


async def test_no_personal_data_is_in_logs_facts_or_file_names(played: Stack, personal: set[str]) -> None:
    logs = {path.name: path.read_text(errors="replace").lower() for path in (played.directory / "logs").iterdir()}
    facts = (await every_fact(played)).lower()
    names = [str(path.relative_to(played.directory)).lower() for path in played.directory.rglob("*")]
    assert all(len(logs[f"{service}.log"]) > 500 for service in SERVICES)
    assert [(name, value) for name, text in logs.items() for value in personal if value in text] == []
    assert [value for value in personal if value in facts] == []
    assert [(name, value) for name in names for value in personal if value in name] == []
    # The search can find: the mails do have them.
    assert MailStore(played.directory / "mails").find("quispe", limit=1)[0] > 0


async def every_fact(stack: Stack) -> str:
    """EVENTS whole, headers and bodies, as provisioning may read them."""
    settings = BusSettings.model_validate(
        {"nats_urls": stack.nats.url, "nats_seed_file": stack.secrets.seed_file("provision")}
    )
    bus = await nats.connect(**connect_options(settings, user="provision"), nkeys_seed_str=settings.seed())
    js = bus.jetstream()
    last = (await js.stream_info("EVENTS")).state.last_seq
    messages = [await js.get_msg("EVENTS", seq=sequence) for sequence in range(1, last + 1)]
    await bus.close()
    assert last > 500
    return "\n".join(f"{one.subject} {one.headers} {(one.data or b'').decode()}" for one in messages)


async def test_a_client_that_follows_from_the_start_sees_every_fact_in_order(played: Stack) -> None:
    async with connected(played.client_settings("web", instance="follower")) as client:
        last = await client.last_sequence()
        sequences = []
        async with aclosing(client.follow()) as facts:
            async for followed in facts:
                sequences.append(followed.sequence)
                if followed.sequence == last:
                    break
    assert sequences == list(range(1, last + 1))


async def test_no_input_of_any_shape_parks_a_message_or_stops_a_service(played: Stack) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 — to repeat a failure
    bodies = list(mangled(random.Random(seed), 400))  # noqa: S311
    authority = Authority(played.secrets.identity_key_file)
    everything = authority.issue(Actor(uuid7(), frozenset(Role)), now=datetime.now(UTC))
    settings = played.client_settings("bot", instance="fuzz")
    async with connected(settings) as client:
        bus = await nats.connect(**connect_options(settings, user="bot"), nkeys_seed_str=settings.seed())
        told = []
        for subject, data in bodies:
            command_id = uuid7()
            told.append(client.expect(command_id)[1])
            headers = {"Nats-Msg-Id": str(command_id), "Conecta-Client": "bot", "Conecta-Instance": "fuzz"}
            await bus.publish(subject, data.replace(b"TOKEN", everything.encode()), headers=headers)
        await bus.flush()
        outcomes = await asyncio.wait_for(asyncio.gather(*told), 90)
        for module in (registration, aid_calls, evaluation, notifications):
            status = await client.ask(module.ServiceStatus(), ServiceStatusAnswer, actor=everything)
            assert sum(consumer.parked for consumer in status.consumers) == 0
        await bus.close()
    rejected = [outcome for outcome in outcomes if not outcome.applied]
    assert len(rejected) > len(bodies) / 2
    assert all(outcome.problems for outcome in rejected)
    assert {service: played.supervisor.restarts(service) for service in SERVICES} == dict.fromkeys(SERVICES, 0)


def mangled(chance: random.Random, number: int) -> Iterator[tuple[str, bytes]]:
    """Golden commands with something broken, and some that are whole."""
    samples = {kind: json.loads((SAMPLES / f"{kind.type}.json").read_text()) for kind in COMMANDS.values()}
    for _ in range(number):
        kind, sample = chance.choice(list(samples.items()))
        data = json.loads(json.dumps(sample))
        for _ in range(chance.randrange(4)):
            broken(chance, data)
        text = json.dumps({"data": data, "actor": "TOKEN"}).encode()
        if chance.random() < 0.1:
            text = text[: chance.randrange(len(text))]
        yield kind.subject(), text


def broken(chance: random.Random, data: dict[str, Any]) -> None:
    nasty: list[Any] = [None, "", "\x00", "\ud800", "x" * 20_000, -1, 10**30, 1.5, True, [], {}, [[]], {"a": {"b": 1}}]
    nasty += ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "1e400", "NaN", "0E+99999", str(uuid7())]
    keys = list(data)
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(data[key], dict) and chance.random() < 0.5:
        broken(chance, data[key])
    elif chance.random() < 0.2:
        del data[key]
    elif chance.random() < 0.2:
        data[f"{key}x"] = chance.choice(nasty)
    else:
        data[key] = chance.choice(nasty)
