"""A mailer in a process of its own, for tests that kill it; configured by the environment like the service."""

from __future__ import annotations

import asyncio

from services.notifications.mailer import send_mails
from shared.db import Database
from shared.journal import Journal
from shared.service import Context
from shared.settings import ServiceSettings


async def main() -> None:
    """Send until killed."""
    settings = ServiceSettings()
    database = Database(settings, service="notifications")
    await database.open()
    await send_mails(Context(database, Journal("notifications"), settings, asyncio.Event(), asyncio.Event()))


if __name__ == "__main__":
    asyncio.run(main())
