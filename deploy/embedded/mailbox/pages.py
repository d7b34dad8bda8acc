"""The mailbox's pages, in Spanish, rendered without scripts."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode

from babel.dates import format_datetime
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deploy.embedded.mailbox.http import Response
from deploy.embedded.mailbox.message import Content
from deploy.embedded.mailbox.store import Mail

FOLDER = Path(__file__).parent / "templates"
STYLE = (FOLDER / "mailbox.css").read_bytes()
PER_PAGE = 25
PERU = timezone(timedelta(hours=-5), "PET")  # has no summer time, and slim systems have no time zone data


def _day_and_time(moment: datetime) -> str:
    return format_datetime(moment.astimezone(PERU), "d MMM y, HH:mm:ss", locale="es_PE")


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} kB".replace(".", ",")


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_ENVIRONMENT.filters |= {"day_and_time": _day_and_time, "file_size": _size}


def mail_list(mails: list[Mail], *, total: int, kept: int, query: str, page: int) -> Response:
    """A page of those that match `query` (`total`), of all that are `kept`."""
    pages = max(1, -(-total // PER_PAGE))
    return _page(
        "list.html", mails=mails, total=total, kept=kept, query=query, page=page, pages=pages, address=_address(query)
    )


def mail_page(mail: Mail, content: Content, *, source: str | None, view: str) -> Response:
    """One mail in one view: html, text or source."""
    return _page("mail.html", mail=mail, content=content, source=source, view=view)


def confirm_delete(kept: int) -> Response:
    """The question before all are deleted."""
    return _page("confirm.html", kept=kept)


def missing() -> Response:
    """There is no such page or mail."""
    return _page("missing.html", status=404)


def _address(query: str) -> object:
    """Makes the address of another page of the same search."""
    return lambda page: "/?" + urlencode({"q": query, "page": page})


def _page(template: str, *, status: int = 200, **values: object) -> Response:
    return Response(status=status, body=_ENVIRONMENT.get_template(template).render(values).encode())
