"""The mails: one file each, and an index in memory that is built from the files at the start.

A file is the mail as it came, below three lines of where it came from and for whom (as a mail server writes them),
so that any mail program can open it. Its name says when it came and nothing else.
"""

import asyncio
import secrets
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import format_datetime
from pathlib import Path

from deploy.embedded.mailbox.message import Content, decoded, read_content, searchable_text

TEMPLATE = "X-Conecta-Template"
TRACE = ("Return-Path", "Delivered-To", "Received")
PEEK = 16 * 1024


@dataclass(slots=True)
class Mail:
    """What the index knows of a mail. `headers` are decoded, without the lines that we put above them."""

    id: str
    path: Path
    sender: str
    recipients: tuple[str, ...]
    received_at: datetime
    size: int
    headers: dict[str, str]
    searched: str = field(default="", repr=False)
    text: str | None = field(default=None, repr=False)

    def content(self) -> Content:
        """Its parts, read from its file."""
        return read_content(self.path.read_bytes())

    def header(self, name: str) -> str | None:
        """A header's value, whatever case its name was written in."""
        return next((value for written, value in self.headers.items() if written.lower() == name.lower()), None)

    @property
    def subject(self) -> str:
        """Empty if it has none."""
        return self.header("Subject") or ""

    @property
    def template(self) -> str | None:
        """Which of our templates it was made from."""
        return self.header(TEMPLATE)


class MailStore:
    """The mails of one directory. Only `find` may be called from another thread."""

    def __init__(self, directory: Path) -> None:
        """Read what is there."""
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mails: dict[str, Mail] = {}
        for leftover in directory.glob("*.part"):  # of a mail that was never acknowledged
            leftover.unlink()
        for path in sorted(directory.glob("*.eml")):
            self._index(path, _head(path), size=path.stat().st_size)

    def add(self, raw: bytes, *, sender: str, recipients: list[str]) -> Mail:
        """Keep a mail; once this returns, the end of this process does not lose it."""
        now = time.time_ns()
        path = self._directory / f"{now:016x}-{secrets.token_hex(8)}.eml"
        whole = _trace(sender, recipients, now) + raw
        part = path.with_suffix(".part")
        part.write_bytes(whole)
        part.rename(path)
        return self._index(path, whole.partition(b"\r\n\r\n")[0], size=len(whole))

    def get(self, mail_id: str) -> Mail | None:
        """One mail."""
        return self._mails.get(mail_id)

    def count(self) -> int:
        """How many there are."""
        return len(self._mails)

    def count_by_template(self) -> dict[str, int]:
        """How many of each template, by name; mails without one are not counted."""
        counted = Counter(mail.template for mail in self._mails.values() if mail.template is not None)
        return dict(sorted(counted.items()))

    def find(self, query: str, *, limit: int, offset: int = 0) -> tuple[int, list[Mail]]:
        """How many match, and some of them, the newest first.

        Every word must occur in the recipients, the subject, the template or the text, whatever its accents and
        case; `to:`, `subject:` or `template:` before a word restrict it to those.
        """
        words = _plain(query).split()
        newest_first = list(self._mails.values())[::-1]
        found = (
            [mail for mail in newest_first if all(_matches(mail, word) for word in words)] if words else newest_first
        )
        return len(found), found[offset : offset + limit]

    def delete(self, mail_id: str) -> bool:
        """Whether it was there."""
        mail = self._mails.pop(mail_id, None)
        if mail is None:
            return False
        mail.path.unlink(missing_ok=True)
        return True

    def delete_all(self) -> int:
        """How many there were."""
        ids = list(self._mails)
        for mail_id in ids:
            self.delete(mail_id)
        return len(ids)

    def _index(self, path: Path, data: bytes, *, size: int) -> Mail:
        parsed = BytesHeaderParser().parsebytes(data)
        values = [(name, decoded(value)) for name, value in parsed.raw_items()]
        received_at = datetime.fromtimestamp(int(path.stem.split("-")[0], 16) / 1e9, tz=UTC)
        mail = Mail(
            id=path.stem,
            path=path,
            sender=next((value.strip("<>") for name, value in values if name == "Return-Path"), ""),
            recipients=tuple(value for name, value in values if name == "Delivered-To"),
            received_at=received_at,
            size=size,
            headers=_without_trace(values),
        )
        mail.searched = _plain(
            " ".join([*mail.recipients, mail.headers.get("To", ""), mail.subject, mail.template or ""])
        )
        self._mails[mail.id] = mail
        return mail


async def find(store: MailStore, query: str, *, limit: int, offset: int) -> tuple[int, list[Mail]]:
    """In a thread: the first search of a text reads every mail, and senders must not wait for that."""
    return await asyncio.to_thread(store.find, query, limit=limit, offset=offset)


def _trace(sender: str, recipients: list[str], now: int) -> bytes:
    lines = [f"Return-Path: <{_one_line(sender)}>"]
    lines += [f"Delivered-To: {_one_line(recipient)}" for recipient in recipients]
    lines.append(f"Received: by localhost; {format_datetime(datetime.fromtimestamp(now / 1e9, tz=UTC))}")
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", errors="surrogateescape")


def _one_line(address: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in address)


def _head(path: Path) -> bytes:
    """The header lines, without reading a large body."""
    with path.open("rb") as file:
        head = b""
        while piece := file.read(PEEK):
            head += piece
            if b"\r\n\r\n" in head or b"\n\n" in head:
                break
    return head


def _without_trace(values: list[tuple[str, str]]) -> dict[str, str]:
    """By name, repeated ones joined. Ours come first: a mail's own `Received` lines below them are kept."""
    headers: dict[str, str] = {}
    for name, value in _skip_trace(iter(values)):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _skip_trace(values: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, _ in values:
        if name == TRACE[-1]:
            break
    return values


def _matches(mail: Mail, word: str) -> bool:
    field_name, colon, rest = word.partition(":")
    if colon and field_name in ("to", "subject", "template"):
        return rest in _plain(_field(mail, field_name))
    if word in mail.searched:
        return True
    if mail.text is None:
        mail.text = _text_of(mail)
    return word in mail.text


def _field(mail: Mail, name: str) -> str:
    if name == "to":
        return " ".join([*mail.recipients, mail.header("To") or ""])
    return mail.subject if name == "subject" else mail.template or ""


def _text_of(mail: Mail) -> str:
    try:
        return _plain(searchable_text(mail.path.read_bytes()))
    except FileNotFoundError:  # deleted while it was searched
        return ""


def _plain(text: str) -> str:
    """Without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
