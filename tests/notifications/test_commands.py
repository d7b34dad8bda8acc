"""The team asks for a failed mail again."""

from __future__ import annotations

from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.notifications import commands, queries, store, subscribers
from services.notifications.domain import Notice, Template
from shared.contracts.notifications import (
    NotificationCounts,
    NotificationCountsAnswer,
    RetryNotification,
    TemplateCount,
)
from shared.contracts.people import Role
from shared.db import Tx
from shared.messaging import applied, refused
from tests.notifications.cast import by, heard, meeting, rosa

PERSON, MEETING = uuid7(), uuid7()


async def owe(
    tx: Tx, state: str = "owed", *, due: bool = True, template: Template = Template.REGISTRATION_CONFIRMED
) -> UUID:
    """A mail to Rosa about the meeting in Cusco, in some state."""
    fact_id = uuid7()
    await subscribers.on_person(tx, [heard(rosa(PERSON))])
    await subscribers.on_meeting_published(tx, [heard(meeting(MEETING))])
    await commands.owe(tx, [Notice(fact_id=fact_id, person_id=PERSON, template=template, meeting_id=MEETING)])
    changed = await tx.fetchval(
        """
        update notifications.deliveries
           set state = $2, due_at = case when $3 then now() end, mailer = case $2 when 'sending' then 7 end,
               attempts = 4, losses = 1, reason = '550', version = 1
         where fact_id = $1 returning delivery_id
        """,
        fact_id,
        state,
        due,
    )
    return UUID(str(changed))


@pytest.mark.parametrize("state", ["failed", "unknown"])
async def test_a_mail_that_is_over_without_being_sent_is_owed_again_under_the_same_id(tx: Tx, state: str) -> None:
    delivery_id = await owe(tx, state, due=False)
    await tx.execute("update notifications.people set refused = '550'")
    decision = await commands.retry_notification(tx, RetryNotification(notification_id=delivery_id), by("08"))
    assert decision == applied(notification_id=delivery_id)
    row = await tx.fetchrow(
        """
        select delivery_id, state, due_at = now() as due, attempts, losses, reason, refused
          from notifications.deliveries join notifications.people using (person_id)
        """
    )
    assert row is not None
    assert tuple(row) == (delivery_id, "owed", True, 0, 0, None, None)


@pytest.mark.parametrize(
    ("state", "due"),
    [("owed", True), ("sending", True), ("deferred", True), ("unknown", True), ("sent", False), ("dropped", False)],
)
async def test_any_other_mail_cannot_be_asked_for_again(tx: Tx, state: str, due: bool) -> None:  # noqa: FBT001 — a case
    delivery_id = await owe(tx, state, due=due)
    decision = await commands.retry_notification(tx, RetryNotification(notification_id=delivery_id), by())
    assert decision == refused("not-failed", field="notification_id")


async def test_asking_for_it_twice_is_refused_the_second_time(tx: Tx) -> None:
    command = RetryNotification(notification_id=await owe(tx, "failed", due=False))
    assert await commands.retry_notification(tx, command, by()) == applied(notification_id=command.notification_id)
    assert await commands.retry_notification(tx, command, by()) == refused("not-failed", field="notification_id")


async def test_an_organiser_of_another_region_may_not_ask_for_it(tx: Tx) -> None:
    command = RetryNotification(notification_id=await owe(tx, "failed", due=False))
    decision = await commands.retry_notification(tx, command, by("15", "07"))
    assert decision == refused("not-allowed", field="notification_id", reason="region")


async def test_an_unknown_mail_is_told_apart(tx: Tx) -> None:
    decision = await commands.retry_notification(tx, RetryNotification(notification_id=uuid7()), by())
    assert decision == refused("no-such-notification", field="notification_id")


async def test_a_mail_is_owed_once_per_person_fact_and_template(tx: Tx) -> None:
    fact_id = uuid7()
    one = Notice(fact_id=fact_id, person_id=PERSON, template=Template.AID_AWARDED, call_id=uuid7())
    other_person = Notice(fact_id=fact_id, person_id=uuid7(), template=Template.AID_AWARDED, call_id=one.call_id)
    other_template = Notice(fact_id=fact_id, person_id=PERSON, template=Template.AID_RESERVED, call_id=one.call_id)
    await commands.owe(tx, [one, other_person, one])
    await commands.owe(tx, [other_template, one])
    await commands.owe(tx, [])
    assert await tx.fetchval("select count(*) from notifications.deliveries") == 3


async def test_counts_are_by_template_and_state(tx: Tx) -> None:
    for state, due in (("owed", True), ("owed", True), ("sent", False), ("unknown", True), ("unknown", False)):
        await owe(tx, state, due=due)
    await owe(tx, "failed", due=False, template=Template.REGISTRATION_WAITLISTED)
    await owe(tx, "dropped", due=False, template=Template.REGISTRATION_WAITLISTED)
    answer = await queries.notification_counts(tx, NotificationCounts(), by(role=Role.OPERATOR).actor)
    assert answer == NotificationCountsAnswer(
        by_template={
            "registration-confirmed": TemplateCount(owed=2, sent=1, unknown=2),
            "registration-waitlisted": TemplateCount(failed=1, dropped=1),
        },
        waiting=3,
    )


async def test_nothing_owed_is_an_empty_answer(tx: Tx) -> None:
    answer = await queries.notification_counts(tx, NotificationCounts(), None)
    assert answer == NotificationCountsAnswer(by_template={}, waiting=0)


async def test_a_mail_waits_until_its_person_and_its_meeting_are_known_and_nobody_waits_behind_it(tx: Tx) -> None:
    stranger, unheard = uuid7(), uuid7()
    notices = [
        Notice(fact_id=uuid7(), person_id=stranger, template=Template.REGISTRATION_CONFIRMED, meeting_id=MEETING),
        Notice(fact_id=uuid7(), person_id=PERSON, template=Template.REGISTRATION_CONFIRMED, meeting_id=unheard),
        Notice(fact_id=uuid7(), person_id=PERSON, template=Template.AID_AWARDED, call_id=uuid7()),
    ]
    await commands.owe(tx, notices)
    ready = await owe(tx)
    assert [one.delivery_id for one in await store.claim(tx, mailer=1, limit=1)] == [ready]
    await subscribers.on_person(tx, [heard(rosa(stranger))])
    await subscribers.on_meeting_published(tx, [heard(meeting(unheard))])
    claimed = await store.claim(tx, mailer=1, limit=10)
    assert [one.fact_id for one in claimed] == [one.fact_id for one in notices[:2]]
