"""The card of aid_calls says what its composition root does."""

from __future__ import annotations

from services.aid_calls import HEARS, RECORDS_HEARD
from services.aid_calls.app import SERVICE
from shared.contracts import COMMANDS, QUESTIONS


def test_the_card_lists_exactly_what_is_heard() -> None:
    assert tuple(SERVICE.facts) == HEARS
    assert tuple(SERVICE.records) == RECORDS_HEARD


def test_every_command_of_the_language_is_carried_out() -> None:
    assert set(SERVICE.commands) == {one for one in COMMANDS.values() if one.service == "aid_calls"}


def test_every_question_of_the_language_is_answered() -> None:
    asked = {*SERVICE.questions, SERVICE.command_outcome, SERVICE.service_status}
    assert asked == {one for one in QUESTIONS.values() if one.service == "aid_calls"}
