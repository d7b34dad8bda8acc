"""From templates to mails: MJML and MIME are made once per template and language, and filled per recipient as bytes.

What a person wrote never gets into MJML, nor unencoded into a header: it is put on one line, escaped for HTML, and
encoded on its own between two soft line breaks of quoted-printable, which decoding takes away again.
"""

from __future__ import annotations

import html
import re
import tomllib
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_currency, format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mjml import mjml2html

from services.notifications.domain import Mail, Template

FOLDER = Path(__file__).parent / "templates"
LIMA = timezone(timedelta(hours=-5), "America/Lima")  # no summer time (domain.md)
FALLBACK = "es"
LOCALES = {"es": "es_PE"}

_MINUTE = {"es": "EEEE d 'de' MMMM 'de' y, HH:mm"}
_SECOND = {"es": "EEEE d 'de' MMMM 'de' y, HH:mm:ss"}
_MINUTES = {"starts_at", "ends_at", "closes_at"}
_SECONDS = {"accepted_at"}
_TOTALS = {"total", "minimum_total"}
_NAMES = {"given", "title", "code", "city", "place", "application_id", "position", "added", "assigned"}
_OTHERS = {"amount", "reasons"}
NAMES = _MINUTES | _SECONDS | _TOTALS | _NAMES | _OTHERS

_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_MARK = re.compile("\ue000([a-z_]+)\ue001")
_MARKS = {name: f"\ue000{name}\ue001" for name in NAMES}
_SHORT = 60  # characters that fit on one header line as they are
_WORD = 39  # bytes in an encoded word, so that its line stays below 76 characters
_BOUNDARY = b"=_conecta"  # cannot occur in quoted-printable, where every = is a code

Said = tuple[str, str]  # a value as plain text, and as HTML


@dataclass(frozen=True, slots=True)
class Form:
    """One template in one language: the bytes of a mail, with a gap (place, name, HTML or not) for each value."""

    language: str
    subject: Sequence[str]
    names: Sequence[str]
    pieces: Sequence[bytes]
    gaps: Sequence[tuple[int, str, bool]]
    reasons: Mapping[str, str]


class Forms:
    """Every template in every language that it is written in."""

    def __init__(self, *, sender: str, folder: Path = FOLDER) -> None:
        """`sender` is what stands in From. A fault in any template is raised here, when the service starts."""
        name, self.address = parseaddr(sender)
        self.domain = self.address.rpartition("@")[2]
        self._head = b"From: " + mailbox(name, self.address)
        # No autoescape: what Jinja fills in are marks of our own; what people wrote comes later, escaped.
        source = Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False)  # noqa: S701
        self._forms = {
            (template.value, language): _form(source, template, language, folder / template / language)
            for template in Template
            for language in LOCALES
            if language == FALLBACK or (folder / template / language).is_dir()
        }

    def fill(self, mail: Mail, *, date: str) -> bytes:
        """The mail for one person, as it goes to the server; `date` is what stands in Date."""
        template = mail.template.value
        form = self._forms.get((template, mail.language)) or self._forms[template, FALLBACK]
        said = {name: say(name, mail.values[name], form) for name in form.names}
        encoded = {(name, rich): _encoded(said[name][rich]) for _, name, rich in form.gaps}
        body = list(form.pieces)
        for place, name, rich in form.gaps:
            body[place] = encoded[name, rich]
        subject = "".join(said[part][0] if place % 2 else part for place, part in enumerate(form.subject))
        head = (
            self._head,
            b"To: " + mailbox(f"{mail.given} {mail.family}", mail.address or ""),
            b"Subject: " + header(subject),
            f"Date: {date}".encode(),
            f"Message-ID: <{mail.delivery_id}@{self.domain}>".encode(),
        )
        return b"\r\n".join(head) + b"".join(body)


def say(name: str, value: Any, form: Form) -> Said:
    """A value in words: dates in Lima's time, money and totals as Peru writes them, reasons as a list."""
    if name in _NAMES:
        return _plain(one_line(str(value)))
    if name in _MINUTES:
        pattern = _SECOND if value.second else _MINUTE
        return _plain(_when(value, pattern[form.language], form.language))
    if name in _SECONDS:
        return _plain(_when(datetime.fromisoformat(value), _SECOND[form.language], form.language))
    if name in _TOTALS:
        return _plain(_number(str(value), form.language))
    if name == "amount":
        return _plain(_money(value["amount"], value["currency"], form.language))
    return _list([_reason(one_line(code), form.reasons) for code in value])


def one_line(text: str) -> str:
    """Text of a person without line ends, control characters and marks that turn the direction of reading."""
    if text.isprintable() and not text.startswith(" ") and not text.endswith(" "):
        return text
    return _INVISIBLE.sub("", _SPACE.sub(" ", text)).strip()


def header(text: str) -> bytes:
    """Text as a header's value: as it is if short and ASCII, else RFC 2047 encoded words, folded."""
    if text.isascii() and len(text) <= _SHORT and "=?" not in text:
        return text.encode()
    data, words = text.encode(), []
    while data:
        end = min(_WORD, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # never inside a character
            end -= 1
        words.append(b"=?utf-8?b?" + b64encode(data[:end]) + b"?=")
        data = data[end:]
    return b"\r\n ".join(words)


def mailbox(name: str, address: str) -> bytes:
    """A name and an address as a header's value."""
    name = one_line(name)
    if name.isascii() and len(name) <= _SHORT and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'.encode()
    return header(name) + f"\r\n <{address}>".encode()


def _form(source: Environment, template: Template, language: str, folder: Path) -> Form:
    def rendered(name: str) -> str:
        text = source.get_template(f"{template}/{language}/{name}").render(_MARKS, language=language)
        return text.strip() + "\n"

    subject = _MARK.split(rendered("subject.txt").strip())
    plain = _MARK.split(rendered("body.txt"))
    rich = _MARK.split(mjml2html(rendered("body.mjml"), fonts={}) + "\n")
    pieces, gaps = [_opening(template, language)], []
    for parts, is_html, closing in ((plain, False, _between()), (rich, True, b"\r\n--" + _BOUNDARY + b"--\r\n")):
        for place, part in enumerate(parts):
            if place % 2:
                gaps.append((len(pieces), part, is_html))
            pieces.append(b"" if place % 2 else _fixed(part))
        pieces.append(closing)
    reasons = folder / "reasons.toml"
    return Form(
        language=language,
        subject=subject,
        names=sorted({name for _, name, _ in gaps} | set(subject[1::2])),
        pieces=pieces,
        gaps=gaps,
        reasons=tomllib.loads(reasons.read_text()) if reasons.exists() else {},
    )


def _opening(template: str, language: str) -> bytes:
    return (
        "\r\nMIME-Version: 1.0\r\n"
        "Auto-Submitted: auto-generated\r\n"
        f"X-Conecta-Template: {template}\r\n"
        f"Content-Language: {language}\r\n"
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY.decode()}"\r\n\r\n'
    ).encode() + _part("plain")


def _between() -> bytes:
    return b"\r\n" + _part("html")


def _part(kind: str) -> bytes:
    return (
        f"--{_BOUNDARY.decode()}\r\n"
        f"Content-Type: text/{kind}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()


def _fixed(text: str) -> bytes:
    return b2a_qp(text.encode(), istext=True).replace(b"\n", b"\r\n")


def _encoded(text: str) -> bytes:
    """A value, encoded on its own: soft line breaks around it make it independent of the lengths of its neighbours."""
    return b"=\r\n" + b2a_qp(text.encode(), istext=True).replace(b"\n", b"\r\n") + b"=\r\n"


def _plain(text: str) -> Said:
    return text, html.escape(text)


def _reason(code: str, sentences: Mapping[str, str]) -> str:
    if code in sentences:
        return sentences[code]
    family = next((key for key in sentences if code.startswith(f"{key}-")), "other")
    return sentences[family].replace("{detail}", code.removeprefix(f"{family}-"))


def _list(items: Sequence[str]) -> Said:
    return "\n".join(f"- {item}" for item in items), "".join(f"<li>{html.escape(item)}</li>" for item in items)


@lru_cache(maxsize=4096)
def _when(instant: datetime, pattern: str, language: str) -> str:
    return format_datetime(instant.astimezone(LIMA), pattern, locale=LOCALES[language], tzinfo=LIMA)


@lru_cache(maxsize=4096)
def _money(amount: str, currency: str, language: str) -> str:
    return format_currency(Decimal(amount), currency, locale=LOCALES[language])


@lru_cache(maxsize=4096)
def _number(number: str, language: str) -> str:
    return format_decimal(Decimal(number), format="#,##0.00", locale=LOCALES[language])
