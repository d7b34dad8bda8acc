"""The SMTP side: every mail is kept, unless a fault was ordered.

No STARTTLS and no login: senders of this machine only.
"""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from deploy.embedded.mailbox.faults import Faults
from deploy.embedded.mailbox.store import MailStore

LARGEST_MAIL = 32 * 1024 * 1024
REFUSED = {"4xx": "451 4.7.1 Try again later (ordered)", "5xx": "550 5.1.1 No such mailbox (ordered)"}


class _Handler:
    """aiosmtpd's hooks."""

    def __init__(self, store: MailStore, faults: Faults) -> None:
        self.store = store
        self.faults = faults

    async def handle_RCPT(  # noqa: N802 (aiosmtpd calls it so)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self.faults.take(("4xx", "5xx"), [address])
        if fault is not None:
            return REFUSED[fault.kind]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: "_MailboxSMTP", _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if fault := self.faults.take(("slow",), envelope.rcpt_tos):
            await asyncio.sleep(fault.seconds)
        content = envelope.content
        mail = self.store.add(
            content if isinstance(content, bytes) else (content or "").encode(),
            sender=envelope.mail_from or "",
            recipients=envelope.rcpt_tos,
        )
        if self.faults.take(("drop-after-data",), envelope.rcpt_tos):
            await server.hang_up()
        return f"250 2.0.0 OK {mail.id}"


class _MailboxSMTP(SMTP):
    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 (aiosmtpd finds it by its name)
        """Hang up instead, if that was ordered."""
        handler: _Handler = self.event_handler
        if self.envelope is not None and handler.faults.take(("drop-before-data",), self.envelope.rcpt_tos):
            await self.hang_up()
        await super().smtp_DATA(arg)

    async def hang_up(self) -> None:
        """Reset the connection; never returns, as the loss of the connection cancels this very task."""
        transport: Any = self.transport
        transport.abort()
        await asyncio.get_running_loop().create_future()


async def listen(store: MailStore, faults: Faults, *, host: str, port: int) -> asyncio.Server:
    """Start to take mails; OSError if the port is taken."""
    handler = _Handler(store, faults)
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: _MailboxSMTP(
            handler,
            hostname="localhost",
            ident="Conecta",
            data_size_limit=LARGEST_MAIL,
            enable_SMTPUTF8=True,
            loop=loop,
        ),
        host=host,
        port=port,
        backlog=512,
    )
