"""What notifications can tell: how many mails there are, by template and state."""

from __future__ import annotations

from collections import defaultdict

from shared.contracts.notifications import NotificationCounts, NotificationCountsAnswer, TemplateCount
from shared.db import Tx
from shared.identity import Actor


async def notification_counts(tx: Tx, _question: NotificationCounts, _actor: Actor | None) -> NotificationCountsAnswer:
    """Mails by template and state, and how many are still to be sent."""
    rows = await tx.fetch(
        "select template, state, count(*) as mails from notifications.deliveries group by template, state"
    )
    waiting = await tx.fetchval("select count(*) from notifications.deliveries where due_at is not null")
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        counts[row["template"]][row["state"]] = row["mails"]
    by_template = {template: TemplateCount(**states) for template, states in sorted(counts.items())}
    return NotificationCountsAnswer(by_template=by_template, waiting=waiting)
