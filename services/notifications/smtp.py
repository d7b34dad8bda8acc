"""One lasting connection to the mail server: a mail's envelope and text, and what each answer means for the mail.

Not here: which mail comes next, and noting what became of it (mailer).
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from email.utils import format_datetime
from time import monotonic

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException

from services.notifications import domain
from services.notifications.domain import Mail, Result
from services.notifications.rendering import Forms
from shared.log import logger
from shared.messaging.consumer import described

log = logger(__name__)

# Seconds to wait for a reply, and for the one to the text, which servers think about (see domain.LEASE).
_REPLY, _VERDICT = 20.0, 150.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
_START_TEXT, _CLOSING = 354, 421


class Line:
    """One lasting connection to the mail server; after trouble it is made anew before the next mail is taken."""

    def __init__(self, *, host: str, port: int, forms: Forms, stopping: asyncio.Event) -> None:
        self._smtp = SMTP(hostname=host, port=port, local_hostname=forms.domain, timeout=_REPLY)
        self._forms = forms
        self._stopping = stopping
        self._pause = _FIRST_PAUSE
        self.troubled = False

    async def ready(self) -> bool:
        """Wait until the server can be reached, if it could not; false when told to stop."""
        while self.troubled and not self._stopping.is_set():
            await _wait(self._stopping, self._pause * random.uniform(0.8, 1.2))  # noqa: S311 — jitter
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            if not self._stopping.is_set() and await self._connected():
                self.troubled = False
        return not self._stopping.is_set()

    async def send(self, mail: Mail, *, start_by: float) -> Result:
        """Try one mail."""
        if result := domain.untried(mail):
            return result
        try:
            message = self._forms.fill(mail, date=format_datetime(datetime.now(UTC)))
        except Exception as error:  # noqa: BLE001 — a fault in one text must not stop all others
            log.error("mail-not-written", notification_id=str(mail.delivery_id), error=described(error))  # noqa: TRY400
            return domain.deferred(mail, reason="not-written")
        if not await self._connected() or monotonic() > start_by:
            return domain.given_back(mail)
        if not self._deliverable(mail.address or ""):
            return domain.undeliverable(mail)
        return await self._converse(mail, message)

    async def close(self) -> None:
        """Take leave of the server."""
        if self._smtp.is_connected:
            try:
                await self._smtp.quit(timeout=2)
            except (SMTPException, OSError) as error:
                log.info("mail-server-gone", error=described(error))
        self._smtp.close()

    async def _converse(self, mail: Mail, message: bytes) -> Result:
        try:
            reply = await self._offer((mail.address or "").encode())
        except (SMTPException, OSError) as error:
            self._give_up(error)
            return domain.given_back(mail, due_in=domain.AGAIN_SOON)
        if reply.code >= 400:
            await self._reset()
            return domain.answered(mail, code=reply.code, text=reply.message)
        try:
            reply = await self._text(message)
        except (SMTPException, OSError) as error:
            self._give_up(error)
            return domain.lost(mail)
        if reply.code == _CLOSING:
            self._give_up(_unwilling(reply))
            return domain.given_back(mail, due_in=domain.AGAIN_SOON)
        self._pause = _FIRST_PAUSE
        return domain.taken(mail) if reply.code < 300 else domain.answered(mail, code=reply.code, text=reply.message)

    async def _offer(self, address: bytes) -> SMTPResponse:
        """Name sender and recipient: the refusal of the recipient, or the wish for the text.

        Raises what means trouble with the server, not with this mail: it closes, or it refuses us as a sender.
        """
        utf8 = () if address.isascii() else (b"SMTPUTF8",)
        reply = await self._smtp.execute_command(b"MAIL", b"FROM:<" + self._forms.address.encode() + b">", *utf8)
        if reply.code >= 500:
            raise _unwilling(reply)
        if reply.code < 400:
            reply = await self._smtp.execute_command(b"RCPT", b"TO:<" + address + b">")
        if reply.code < 400:
            reply = await self._smtp.execute_command(b"DATA")
        if reply.code == _CLOSING or (reply.code < 400 and reply.code != _START_TEXT):
            raise _unwilling(reply)
        return reply

    async def _text(self, message: bytes) -> SMTPResponse:
        """The text and its end; its lines end with CRLF by construction, so that only dots need care."""
        protocol = self._smtp.protocol
        if protocol is None:
            raise ConnectionResetError
        protocol.write(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return await protocol.read_response(timeout=_VERDICT)

    async def _reset(self) -> None:
        """Be ready for another mail after a refusal; the refusal stands even if the server ends the connection."""
        try:
            await self._smtp.rset()
        except (SMTPException, OSError) as error:
            self._give_up(error)

    async def _connected(self) -> bool:
        if self._smtp.is_connected:
            return True
        try:
            await self._smtp.connect()
            if self._smtp.is_ehlo_or_helo_needed:  # after STARTTLS
                await self._smtp.ehlo()
        except (SMTPException, OSError) as error:
            self._give_up(error)
            return False
        return True

    def _give_up(self, error: Exception) -> None:
        """End the connection without a word: what the server would make of one is not known any more."""
        if not self.troubled:
            log.warning("mail-server-trouble", error=described(error), code=getattr(error, "code", None))
        self.troubled = True
        self._smtp.close()

    def _deliverable(self, address: str) -> bool:
        return address.isprintable() and (address.isascii() or self._smtp.supports_extension("smtputf8"))


def _unwilling(reply: SMTPResponse) -> SMTPResponseException:
    return SMTPResponseException(reply.code, reply.message)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
