from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.provision.accounts import render
from deploy.provision.secrets import BUS_USERS, Secrets, ensure
from shared.contracts.wire import CLIENTS


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return ensure(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def accounts(secrets: Secrets) -> dict[str, Any]:
    text, _, system = render(secrets).rpartition("system_account: ")
    assert system == "SYS\n"
    parsed: dict[str, Any] = json.loads(text.removeprefix("accounts: "))
    return parsed


def test_the_same_keys_give_the_same_text_wherever_they_are(secrets: Secrets) -> None:
    assert render(Secrets(Path("elsewhere"), secrets.public_keys)) == render(secrets)


def test_no_private_key_and_no_password_is_in_the_text(secrets: Secrets) -> None:
    text = render(secrets)
    assert "password" not in text
    assert [user for user in BUS_USERS if secrets.seed_file(user).read_text().strip() in text] == []


def test_every_user_is_known_by_its_public_key_only(secrets: Secrets, accounts: dict[str, Any]) -> None:
    users = [user for account in accounts.values() for user in account["users"]]
    assert sorted(user["nkey"] for user in users) == sorted(secrets.public_keys.values())
    assert {name for user in users for name in user} == {"nkey", "permissions"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_has_an_account_of_its_own_with_these_subjects(client: str, accounts: dict[str, Any]) -> None:
    account = accounts[client.upper()]
    services = ["conecta.cmd.>", "conecta.qry.>", "$JS.API.DIRECT.GET.EVENTS"]
    streams = ["conecta.accepted.>", "conecta.evt.>", f"conecta.outcome.{client}.>"]
    assert [user["permissions"] for user in account["users"]] == [
        {"publish": services, "subscribe": [f"_INBOX_{client}.>", *streams]}
    ]
    assert account["imports"] == [
        *({"service": {"account": "APP", "subject": subject}} for subject in services),
        *({"stream": {"account": "APP", "subject": subject}} for subject in streams),
    ]


def test_services_have_exactly_their_own_subjects(secrets: Secrets, accounts: dict[str, Any]) -> None:
    permissions = {user["nkey"]: user["permissions"] for user in accounts["APP"]["users"]}
    assert permissions[secrets.public_keys["aid_calls"]] == {
        "publish": [
            "conecta.evt.aid_calls.call-opened.*",
            "conecta.evt.aid_calls.call-closed.*",
            "conecta.evt.aid_calls.application-submitted.*",
            "conecta.evt.aid_calls.application-withdrawn.*",
            "conecta.evt.aid_calls.application-ruled-eligible.*",
            "conecta.evt.aid_calls.application-ruled-ineligible.*",
            "conecta.evt.aid_calls.aid-awarded.*",
            "conecta.evt.aid_calls.aid-reserved.*",
            "conecta.evt.aid_calls.application-not-selected.*",
            "conecta.evt.aid_calls.call-results-published.*",
            "conecta.outcome.>",
            "conecta.parked.aid_calls",
            "$JS.API.STREAM.INFO.PARKED",
            "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.aid_calls",
            "$JS.API.CONSUMER.INFO.COMMANDS.aid_calls",
            "$JS.ACK.COMMANDS.aid_calls.>",
            "$JS.API.CONSUMER.MSG.NEXT.EVENTS.aid_calls",
            "$JS.API.CONSUMER.INFO.EVENTS.aid_calls",
            "$JS.ACK.EVENTS.aid_calls.>",
            "$JS.API.CONSUMER.MSG.NEXT.RESOLVED.aid_calls",
            "$JS.API.CONSUMER.INFO.RESOLVED.aid_calls",
            "$JS.ACK.RESOLVED.aid_calls.>",
        ],
        "subscribe": ["_INBOX_aid_calls.>", "conecta.qry.aid_calls.>"],
        "allow_responses": {"max": 1, "expires": "1m"},
    }


def test_only_registration_publishes_people_and_only_notifications_hears_of_them(
    secrets: Secrets, accounts: dict[str, Any]
) -> None:
    names = {key: user for user, key in secrets.public_keys.items()}
    people = {
        names[user["nkey"]]: [subject for subject in user["permissions"]["publish"] if "people" in subject.lower()]
        for user in accounts["APP"]["users"]
    }
    assert people == {
        "provision": [],
        "operator": ["$JS.API.STREAM.MSG.GET.PEOPLE"],
        "registration": ["conecta.people.*"],
        "aid_calls": [],
        "evaluation": [],
        "notifications": [
            "$JS.API.CONSUMER.MSG.NEXT.PEOPLE.notifications",
            "$JS.API.CONSUMER.INFO.PEOPLE.notifications",
            "$JS.ACK.PEOPLE.notifications.>",
        ],
    }
