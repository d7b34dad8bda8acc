from __future__ import annotations

from services.notifications import HEARS, RECORDS_HEARD
from services.notifications.app import SERVICE
from services.notifications.domain import Template
from services.notifications.rendering import FOLDER
from shared.contracts import COMMANDS, QUESTIONS


def test_the_card_lists_exactly_what_is_heard() -> None:
    assert tuple(SERVICE.facts) == HEARS
    assert tuple(SERVICE.records) == RECORDS_HEARD


def test_every_command_of_the_language_is_carried_out() -> None:
    assert set(SERVICE.commands) == {one for one in COMMANDS.values() if one.service == "notifications"}


def test_every_question_of_the_language_is_answered() -> None:
    asked = {*SERVICE.questions, SERVICE.command_outcome, SERVICE.service_status}
    assert asked == {one for one in QUESTIONS.values() if one.service == "notifications"}


def test_every_folder_of_texts_is_a_template_that_is_used() -> None:
    folders = {path.name for path in FOLDER.iterdir() if not path.name.startswith("_")}
    assert folders == {template.value for template in Template}
