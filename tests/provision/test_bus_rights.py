"""What each user of the bus can and cannot do, on a real server. Every refusal has a twin that is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.provision.conftest import Bus, Connect

AWARDED = "conecta.evt.aid_calls.aid-awarded.x"
CREATED = "conecta.evt.registration.meeting-created.x"
COMMAND = "conecta.cmd.registration.create-meeting"
QUESTION = "conecta.qry.registration.meeting"


async def api(client: Client, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    reply = await client.request(f"$JS.API.{call}", json.dumps(body or {}).encode(), timeout=5)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


async def stored(provision: Bus, stream: str) -> int:
    """The last sequence of a stream: grows with everything that is stored, whatever is removed."""
    return int((await api(provision.client, f"STREAM.INFO.{stream}"))["state"]["last_seq"])


async def published(client: Client, subject: str, **headers: str) -> dict[str, Any]:
    reply = await client.request(subject, b"{}", headers={"Nats-Msg-Id": str(uuid4()), **headers}, timeout=5)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


def violation(subject: str) -> list[str]:
    """What nats-py makes of the server's refusal."""
    return [f'nats: permissions violation for publish to "{subject.lower()}"']


async def test_a_service_publishes_its_own_facts_and_no_others(connect: Connect) -> None:
    provision, registration, aid_calls = [await connect(user) for user in ("provision", "registration", "aid_calls")]
    assert (await published(aid_calls.client, AWARDED))["stream"] == "EVENTS"
    before = await stored(provision, "EVENTS")
    await registration.client.publish(AWARDED, b"{}")
    assert await registration.refused() == violation(AWARDED)
    assert await stored(provision, "EVENTS") == before
    assert (await published(registration.client, CREATED))["seq"] == before + 1


@pytest.mark.parametrize("subject", ["conecta.evt.registration.no-such-fact.x", "conecta.evt.registration.x"])
async def test_a_service_publishes_no_fact_that_is_not_in_its_contracts(connect: Connect, subject: str) -> None:
    registration = await connect("registration")
    await registration.client.publish(subject, b"{}")
    assert await registration.refused() == violation(subject)


async def test_only_registration_publishes_people(connect: Connect) -> None:
    registration, notifications = await connect("registration"), await connect("notifications")
    assert (await published(registration.client, "conecta.people.p1"))["stream"] == "PEOPLE"
    await notifications.client.publish("conecta.people.p1", b"{}")
    assert await notifications.refused() == violation("conecta.people.p1")


async def test_a_service_pulls_from_its_own_consumers_and_no_others(connect: Connect) -> None:
    registration, aid_calls = await connect("registration"), await connect("aid_calls")
    call = "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.aid_calls"
    assert (await nothing_there(aid_calls.client, call)).headers == {"Status": "404", "Description": "No Messages"}
    await registration.client.publish(call, b'{"batch":1,"no_wait":true}', reply=registration.client.new_inbox())
    assert await registration.refused() == violation(call)


async def nothing_there(client: Client, call: str) -> Msg:
    return await client.request(call, b'{"batch":1,"no_wait":true}', timeout=5)


async def test_a_service_acknowledges_for_its_own_consumers_and_no_others(connect: Connect) -> None:
    registration = await connect("registration")
    await registration.client.publish("$JS.ACK.COMMANDS.registration.1.1.1.1.0", b"+ACK")
    assert await registration.refused() == []
    await registration.client.publish("$JS.ACK.COMMANDS.aid_calls.1.1.1.1.0", b"+ACK")
    assert await registration.refused() == violation("$JS.ACK.COMMANDS.aid_calls.1.1.1.1.0")


ADMINISTRATION: tuple[tuple[str, dict[str, Any]], ...] = (
    ("STREAM.CREATE.OWN", {"name": "OWN", "subjects": ["own"], "storage": "memory"}),
    ("STREAM.DELETE.OWN", {}),
    ("STREAM.PURGE.PEOPLE", {"filter": "conecta.people.nobody"}),
    ("STREAM.MSG.GET.EVENTS", {"last_by_subj": "conecta.evt.>"}),
    ("CONSUMER.CREATE.PARKED.own", {"stream_name": "PARKED", "config": {"name": "own", "inactive_threshold": 10**9}}),
    ("CONSUMER.DELETE.PARKED.own", {}),
)


@pytest.mark.parametrize("user", ["registration", "notifications", "web", "cli"])
@pytest.mark.parametrize(("call", "body"), ADMINISTRATION)
async def test_only_provision_makes_deletes_purges_and_reads_streams(
    connect: Connect, user: str, call: str, body: dict[str, Any]
) -> None:
    other = await connect(user)
    await other.client.publish(f"$JS.API.{call}", json.dumps(body).encode(), reply=other.client.new_inbox())
    assert await other.refused() == violation(f"$JS.API.{call}")


async def test_provision_may_do_all_of_that(connect: Connect) -> None:
    provision, registration = await connect("provision"), await connect("registration")
    await published(registration.client, CREATED)
    answers = [await api(provision.client, call, body) for call, body in ADMINISTRATION]
    assert [answer.get("error") for answer in answers] == [None] * len(ADMINISTRATION)


async def test_provision_publishes_nothing_itself(connect: Connect) -> None:
    provision = await connect("provision")
    for subject in (CREATED, COMMAND, "conecta.outcome.web.1.x"):
        await provision.client.publish(subject, b"{}")
        assert await provision.refused() == violation(subject)


async def test_a_service_sees_how_many_are_parked_and_parks_under_its_own_name(connect: Connect) -> None:
    registration = await connect("registration")
    assert (await published(registration.client, "conecta.parked.registration"))["stream"] == "PARKED"
    parked = await api(registration.client, "STREAM.INFO.PARKED", {"subjects_filter": "conecta.parked.registration"})
    assert parked["state"]["subjects"]["conecta.parked.registration"] >= 1
    await registration.client.publish("conecta.parked.aid_calls", b"{}")
    assert await registration.refused() == violation("conecta.parked.aid_calls")


async def test_a_client_sends_commands_and_publishes_no_facts(connect: Connect) -> None:
    provision, web = await connect("provision"), await connect("web")
    before = await stored(provision, "EVENTS")
    assert (await published(web.client, COMMAND))["stream"] == "COMMANDS"
    for subject in (CREATED, AWARDED, "conecta.people.p1", "conecta.parked.web", "conecta.outcome.web.1.x"):
        await web.client.publish(subject, b"{}")
        assert await web.refused() == violation(subject)
    assert await stored(provision, "EVENTS") == before


@pytest.mark.parametrize(
    "call", ["INFO", "STREAM.NAMES", "STREAM.INFO.EVENTS", "DIRECT.GET.COMMANDS", "CONSUMER.MSG.NEXT.EVENTS.evaluation"]
)
async def test_of_jetstreams_api_a_client_has_only_direct_gets_of_facts(connect: Connect, call: str) -> None:
    web, registration = await connect("web"), await connect("registration")
    written = await published(registration.client, CREATED)
    found = await web.client.request("$JS.API.DIRECT.GET.EVENTS", b'{"last_by_subj":"conecta.evt.>"}', timeout=5)
    assert found.headers is not None
    assert found.headers["Nats-Sequence"] == str(written["seq"])
    await web.client.publish(f"$JS.API.{call}", b"", reply=web.client.new_inbox())
    assert await web.refused() == violation(f"$JS.API.{call}")


async def test_a_client_hears_its_own_outcomes_and_nobody_elses(connect: Connect) -> None:
    web, registration = await connect("web"), await connect("registration")
    own = await web.client.subscribe("conecta.outcome.web.>")
    assert await web.refused() == []
    others = ("conecta.outcome.>", "conecta.outcome.cli.>", "conecta.outcome.cli.1.*", "_INBOX_cli.>")
    secret = ("conecta.cmd.>", "conecta.people.*", "conecta.parked.>", "_R_.>", "$JS.>", ">")
    for subject in (*others, *secret):
        await web.client.subscribe(subject)
        assert await web.refused() == [f'nats: permissions violation for subscription to "{subject.lower()}"']
    await registration.client.publish("conecta.outcome.web.1.x", b"{}")
    assert (await own.next_msg(timeout=5)).subject == "conecta.outcome.web.1.x"


async def test_accepted_commands_are_announced_to_clients_with_headers_and_without_their_body(
    connect: Connect,
) -> None:
    web, cli = await connect("web"), await connect("cli")
    heard = await cli.client.subscribe("conecta.accepted.>")
    await cli.settled()
    written = await published(web.client, COMMAND, **{"Nats-Msg-Id": "announced", "Conecta-Client": "web"})
    message = await heard.next_msg(timeout=5)
    headers = dict(message.headers or {})
    assert (message.subject, message.data) == ("conecta.accepted.registration.create-meeting", b"")
    assert headers.pop("Nats-Time-Stamp").endswith("Z")
    assert headers == {
        "Nats-Msg-Id": "announced",
        "Conecta-Client": "web",
        "Nats-Stream": "COMMANDS",
        "Nats-Subject": COMMAND,
        "Nats-Sequence": str(written["seq"]),
        "Nats-Last-Sequence": headers["Nats-Last-Sequence"],
        "Nats-Msg-Size": "2",
    }
    again = await published(web.client, COMMAND, **{"Nats-Msg-Id": "announced"})
    assert (again["duplicate"], again["seq"]) == (True, written["seq"])
    with pytest.raises(nats.errors.TimeoutError):  # a duplicate is not announced again
        await heard.next_msg(timeout=0.2)


async def test_a_service_answers_a_question_from_another_account_once(connect: Connect) -> None:
    web, registration = await connect("web"), await connect("registration")
    asked: list[str] = []

    async def answer(message: Msg) -> None:
        asked.append(message.reply)
        await message.respond(b"first")
        await message.respond(b"second")

    await registration.client.subscribe(QUESTION, queue="registration", cb=answer)
    await registration.settled()
    answers = await web.client.subscribe(inbox := web.client.new_inbox())
    await web.client.publish(QUESTION, b"{}", reply=inbox)
    assert (await answers.next_msg(timeout=5)).data == b"first"
    assert await registration.refused() == violation(asked[0])
    assert asked[0].startswith("_R_.")
    await registration.client.publish("_R_.guessed", b"{}")
    assert await registration.refused() == violation("_R_.guessed")


async def test_a_service_hears_only_questions_to_itself(connect: Connect) -> None:
    registration = await connect("registration")
    await registration.client.subscribe(QUESTION)
    assert await registration.refused() == []
    for subject in ("conecta.qry.aid_calls.call", "conecta.cmd.registration.>", "conecta.evt.>", "conecta.people.*"):
        await registration.client.subscribe(subject)
        assert await registration.refused() == [f'nats: permissions violation for subscription to "{subject}"']


ELSEWHERE = [CREATED, "conecta.people.p1", "conecta.parked.registration", "conecta.outcome.cli.1.x"]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_a_reply_subject_of_another_account_writes_nothing_there(connect: Connect, elsewhere: str) -> None:
    provision, web, cli = [await connect(user) for user in ("provision", "web", "cli")]
    outcomes = await cli.client.subscribe("conecta.outcome.cli.>")
    await cli.settled()
    before = [await stored(provision, stream) for stream in ("EVENTS", "PEOPLE", "PARKED")]
    accepted = await stored(provision, "COMMANDS")
    await web.client.publish(COMMAND, b"{}", reply=elsewhere)
    await web.client.publish("$JS.API.DIRECT.GET.EVENTS", b'{"last_by_subj":"conecta.evt.>"}', reply=elsewhere)
    await published(web.client, COMMAND)  # answered after those two were
    assert await stored(provision, "COMMANDS") == accepted + 2
    assert [await stored(provision, stream) for stream in ("EVENTS", "PEOPLE", "PARKED")] == before
    await cli.settled()
    assert outcomes.pending_msgs == 0


async def test_inside_one_account_it_does_which_is_why_clients_have_their_own(connect: Connect) -> None:
    provision, registration = await connect("provision"), await connect("registration")
    before = await stored(provision, "EVENTS")
    await registration.client.publish("conecta.parked.registration", b"{}", reply=AWARDED)
    await published(registration.client, "conecta.parked.registration")
    assert await registration.refused() == []
    assert await stored(provision, "EVENTS") == before + 1


SPECIAL = [
    {"Nats-Rollup": "all"},
    {"Nats-Rollup": "sub"},
    {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "conecta.cmd.aid_calls.create-call"},
    {"Nats-TTL": "1s"},
    {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
]


@pytest.mark.parametrize("headers", SPECIAL, ids=lambda headers: next(iter(headers)))
async def test_headers_of_a_client_that_do_more_than_carry_have_no_effect(
    connect: Connect, headers: dict[str, str]
) -> None:
    provision, web = await connect("provision"), await connect("web")
    await published(web.client, COMMAND)
    before = (await api(provision.client, "STREAM.INFO.COMMANDS"))["state"]
    answer = await published(web.client, COMMAND, **headers)
    after = (await api(provision.client, "STREAM.INFO.COMMANDS"))["state"]
    assert answer["error"]["description"]
    assert (after["messages"], after["last_seq"]) == (before["messages"], before["last_seq"])


@pytest.mark.parametrize("headers", SPECIAL, ids=lambda headers: next(iter(headers)))
async def test_the_same_headers_have_one_where_a_stream_allows_them(connect: Connect, headers: dict[str, str]) -> None:
    provision, registration = await connect("provision"), await connect("registration")
    parked = (await api(provision.client, "STREAM.INFO.PARKED"))["config"]
    lax: dict[str, Any] = {
        "allow_rollup_hdrs": True,
        "allow_msg_schedules": True,
        "allow_msg_ttl": True,
        "allow_atomic": True,
    }
    lax |= {"name": "LAX", "subjects": ["conecta.parked.>"], "storage": "memory"}
    assert "error" not in await api(provision.client, "STREAM.DELETE.PARKED")
    try:
        assert "error" not in await api(provision.client, "STREAM.CREATE.LAX", lax)
        own = {
            name: value.replace("conecta.cmd.aid_calls.create-call", "conecta.parked.x")
            for name, value in headers.items()
        }
        assert "error" not in await published(registration.client, "conecta.parked.registration", **own)
    finally:
        await api(provision.client, "STREAM.DELETE.LAX")
        assert "error" not in await api(provision.client, "STREAM.CREATE.PARKED", parked)
