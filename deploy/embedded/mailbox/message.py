"""What is inside a mail: its text, its HTML ready to be framed, its attachments.

Malformed mails are shown as far as they go.
"""

import base64
import email
import re
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value
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
    inline: dict[str, Message]


def read_content(raw: bytes) -> Content:
    """Take a mail apart."""
    # The old policy on purpose: the new one reads structured headers nine times as slowly, and stumbles over bad ones.
    leaves = [part for part in email.message_from_bytes(raw).walk() if not part.is_multipart()]
    text, html = _first(leaves, "text/plain"), _first(leaves, "text/html")
    rest = [part for part in leaves if part is not text and part is not html]
    return Content(
        text=_text(text) if text else None,
        html=_text(html) if html else None,
        attachments=tuple(_attachment(number, part) for number, part in enumerate(rest)),
        inline={str(part["Content-ID"]).strip().strip("<>"): part for part in rest if part["Content-ID"]},
    )


def framed_html(content: Content) -> str:
    """The HTML for a sandboxed frame: its links open elsewhere, its own pictures are inside."""

    def inside(match: re.Match[str]) -> str:
        part = content.inline.get(match[1])
        return match[0] if part is None else _data_url(part)

    html = _CID.sub(inside, content.html or "")
    if head := _HEAD.search(html):
        return html[: head.end()] + BASE + html[head.end() :]
    return BASE + html


def searchable_text(raw: bytes) -> str:
    """What a reader of the mail sees, roughly."""
    content = read_content(raw)
    html = unescape(_TAG.sub(" ", _HIDDEN.sub(" ", content.html or "")))
    return " ".join([content.text or "", html, *(attachment.name for attachment in content.attachments)])


def decoded(value: object) -> str:
    """A header's value as people read it; as it came if it is not what it claims to be."""
    unfolded = str(value).replace("\r", "").replace("\n", "")
    raw = unfolded.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
    if "=?" not in raw:
        return raw
    try:
        return str(make_header(decode_header(raw)))
    except (LookupError, ValueError):  # an unknown or wrong character set
        return raw


def _first(leaves: list[Message], content_type: str) -> Message | None:
    """The first of that type that is to be read, not kept as a file."""
    return next(
        (
            one
            for one in leaves
            if one.get_content_type() == content_type and one.get_content_disposition() != "attachment"
        ),
        None,
    )


def _text(part: Message) -> str:
    data = _bytes(part)
    try:
        return data.decode(part.get_content_charset("utf-8"), errors="replace").replace("\r\n", "\n")
    except LookupError:  # a character set that nobody knows
        return data.decode("latin-1")


def _bytes(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachment(number: int, part: Message) -> Attachment:
    name = decoded(collapse_rfc2231_value(part.get_filename("")) or f"parte-{number + 1}")
    return Attachment(number=number, name=name, content_type=part.get_content_type(), content=_bytes(part))


def _data_url(part: Message) -> str:
    return f"data:{part.get_content_type()};base64,{base64.b64encode(_bytes(part)).decode()}"
