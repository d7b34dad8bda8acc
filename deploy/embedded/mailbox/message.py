"""What is inside a mail: its text, its HTML ready to be framed, its attachments.

Malformed mails are shown as far as they go.
"""

import base64
import email
import re
from dataclasses import dataclass
from email.message import MIMEPart
from email.policy import default
from html import unescape

BASE = '<base target="_blank">'
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_HIDDEN = re.compile(r"<(style|script|title)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_CID = re.compile(r"cid:([^\"'\s)>]+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A part that is not the mail's text. `number` counts from 0."""

    number: int
    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Content:
    """A mail taken apart. `html` is as it came: show it through `framed_html` only."""

    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]
    inline: dict[str, str]


def read_content(raw: bytes) -> Content:
    """Take a mail apart."""
    message = email.message_from_bytes(raw, policy=default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    shown = [part for part in (text, html) if part is not None]
    rest = [part for part in message.walk() if not part.is_multipart() and part not in shown]
    return Content(
        text=_text(text) if text else None,
        html=_text(html) if html else None,
        attachments=tuple(_attachment(number, part) for number, part in enumerate(rest)),
        inline={str(part["Content-ID"]).strip().strip("<>"): _data_url(part) for part in rest if part["Content-ID"]},
    )


def framed_html(content: Content) -> str:
    """The HTML for a sandboxed frame: its links open elsewhere, its own pictures are inside."""
    html = _CID.sub(lambda match: content.inline.get(match[1], match[0]), content.html or "")
    if head := _HEAD.search(html):
        return html[: head.end()] + BASE + html[head.end() :]
    return BASE + html


def searchable_text(raw: bytes) -> str:
    """What a reader of the mail sees, roughly."""
    content = read_content(raw)
    html = unescape(_TAG.sub(" ", _HIDDEN.sub(" ", content.html or "")))
    return " ".join([content.text or "", html, *(attachment.name for attachment in content.attachments)])


def _text(part: MIMEPart) -> str:
    data = _bytes(part)
    try:
        return data.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # a character set that nobody knows
        return data.decode("latin-1")


def _bytes(part: MIMEPart) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachment(number: int, part: MIMEPart) -> Attachment:
    name = part.get_filename() or f"parte-{number + 1}"
    return Attachment(number=number, name=name, content_type=part.get_content_type(), content=_bytes(part))


def _data_url(part: MIMEPart) -> str:
    return f"data:{part.get_content_type()};base64,{base64.b64encode(_bytes(part)).decode()}"
