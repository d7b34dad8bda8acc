"""The little of HTTP that the mailbox needs on ASGI: a request, a response, and who may send one.

Any page in the developer's browser can send requests to this machine; so foreign names (DNS rebinding) and
requests that other sites make (forged forms) are refused.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

LARGEST_BODY = 64 * 1024
OUR_NAMES = ("127.0.0.1", "localhost", "::1")
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"  # of this very page: a mail's own HTML says otherwise
)
ALWAYS = {
    "cache-control": "no-store",
    "content-security-policy": PAGE_POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


Handler = Callable[..., Awaitable["Response"]]
Routes = tuple[tuple[re.Pattern[str], dict[str, Handler]], ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        """A number from the query, kept between its limits; ValueError if it is none."""
        return max(least, min(most, int(self.query.get(name, default))))


@dataclass(frozen=True, kw_only=True)
class Response:
    """What is answered."""

    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        """As ASGI's two messages."""
        headers = {**ALWAYS, "content-type": self.content_type, "content-length": str(len(self.body)), **self.headers}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": self.body})


def as_json(value: object, *, status: int = 200) -> Response:
    """Any value of plain types."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Response(status=status, content_type="application/json", body=body)


def problem(status: int, text: str) -> Response:
    """An error, for programs and people alike."""
    return as_json({"error": text}, status=status)


def redirect(path: str) -> Response:
    """See there, by GET."""
    return Response(status=303, headers={"location": path})


def download(content: bytes, *, name: str) -> Response:
    """Never shown by the browser, whatever it claims to be."""
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content_type="application/octet-stream", body=content, headers={"content-disposition": disposition})


def route(path: str, **handlers: Handler) -> tuple[re.Pattern[str], dict[str, Handler]]:
    """A path, as a pattern whose named groups the handlers get, and what each method does there."""
    return re.compile(path), handlers


async def read_request(scope: Mapping[str, Any], receive: Receive) -> Request | None:
    """None if its body is too large."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            return None
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )


def refusal(request: Request) -> Response | None:
    """Why it is not carried out; None if it may be."""
    host = request.headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in OUR_NAMES:
        return problem(421, "this mailbox answers to 127.0.0.1 and localhost only")
    if request.method in ("GET", "HEAD"):
        return None
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") or (origin is not None and urlsplit(origin).netloc != host):
        return problem(403, "another site may not ask for this")
    return None
