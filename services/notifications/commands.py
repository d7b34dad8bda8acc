"""What notifications can do: owe people a mail, owe a failed one again, keep what mails will say."""

from __future__ import annotations

from collections.abc import Sequence

from services.notifications import store
from services.notifications.domain import Notice, State
from shared.contracts.aid_calls import CallOpened
from shared.contracts.notifications import RetryNotification
from shared.contracts.registration import MeetingPublished, Person
from shared.db import Tx
from shared.messaging import By, Decision, applied, refused


async def owe(tx: Tx, notices: Sequence[Notice]) -> None:
    """Owe people a mail each; the mailer sends it, once, when it knows who they are."""
    if notices:
        await store.insert_deliveries(tx, notices=notices)


async def retry_notification(tx: Tx, command: RetryNotification, by: By) -> Decision:
    """Owe a mail again that failed, or of which nobody knows whether it was taken."""
    delivery = await store.delivery_for_update(tx, delivery_id=command.notification_id)
    if delivery is None:
        return refused("no-such-notification", field="notification_id")
    if not by.actor.covers(delivery.region):
        return refused("not-allowed", field="notification_id", reason="region")
    if not delivery.over or delivery.state not in {State.FAILED, State.UNKNOWN}:
        return refused("not-failed", field="notification_id")
    await store.owe_again(tx, delivery_id=delivery.delivery_id)
    return applied(notification_id=delivery.delivery_id)


async def keep_people(tx: Tx, people: Sequence[Person]) -> None:
    """Keep where people are written to; of somebody who was erased, nothing."""
    await store.upsert_people(tx, people=people)


async def keep_meetings(tx: Tx, meetings: Sequence[MeetingPublished]) -> None:
    """Keep what mails say of meetings."""
    await store.upsert_meetings(tx, meetings=meetings)


async def keep_calls(tx: Tx, calls: Sequence[CallOpened]) -> None:
    """Keep what mails say of calls."""
    await store.upsert_calls(tx, calls=calls)
