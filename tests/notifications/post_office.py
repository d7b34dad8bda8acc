"""A real SMTP server in the test's own loop, which can be told to refuse, to hang up and to be away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP

OK = "250 OK"


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail that was taken."""

    sender: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """Read by Python's parser."""
        return message_from_bytes(self.content, policy=policy.default)

    @property
    def id(self) -> str:
        """Its Message-ID."""
        return str(self.message["Message-ID"])


class PostOffice:
    """`at_recipient` and `at_text` give the reply, or None to hang up without one (after the text was stored).

    It says nothing more to a text while `answers` is cleared.
    """

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.connections = 0
        self.port = 0
        self.at_sender: Callable[[str], str | None] = lambda _: OK
        self.at_recipient: Callable[[str], str | None] = lambda _: OK
        self.at_text: Callable[[Letter], str | None] = lambda _: OK
        self.answers = asyncio.Event()
        self.answers.set()
        self.utf8 = True
        self.news = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._protocols: list[SMTP] = []

    async def open(self) -> None:
        """Listen: on the same port again after it was closed."""
        self._server = await asyncio.get_running_loop().create_server(self._protocol, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Hang up on everybody, and listen no more."""
        if self._server is None:
            return
        self._server.close()
        for protocol in self._protocols:
            _hang_up(protocol)
        self._protocols.clear()
        await self._server.wait_closed()
        self._server = None

    async def received(self, number: int, *, seconds: float = 20) -> list[Letter]:
        """The letters, once there are that many."""
        async with asyncio.timeout(seconds):
            while len(self.letters) < number:
                self.news.clear()
                await self.news.wait()
        return self.letters

    def _protocol(self) -> SMTP:
        self.connections += 1
        protocol = SMTP(self, hostname="post-office", enable_SMTPUTF8=self.utf8, loop=asyncio.get_running_loop())
        self._protocols.append(protocol)
        return protocol

    async def handle_MAIL(self, server: SMTP, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        """Told the sender."""
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self._reply(server, self.at_sender(address))

    async def handle_RCPT(self, server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        """Told the recipient."""
        envelope.rcpt_tos.append(address)
        return self._reply(server, self.at_recipient(address))

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Told the text."""
        letter = Letter(envelope.mail_from, envelope.rcpt_tos[0], envelope.content)
        reply = self.at_text(letter)
        if reply is None or reply.startswith("2"):
            self.letters.append(letter)
            self.news.set()
        await self.answers.wait()
        return self._reply(server, reply)

    def _reply(self, server: SMTP, reply: str | None) -> str:
        if reply is None:
            _hang_up(server)
        return reply or OK


def _hang_up(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
