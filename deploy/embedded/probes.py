"""Readiness probes for programs that listen on TCP: each returns once, or raises NotReadyError or OSError."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from deploy.embedded.program import NotReadyError


def http_ok(url: str) -> Callable[[], Awaitable[None]]:
    """A probe that is content with a status of 200 to 299 from a GET of `url`."""

    async def probe() -> None:
        status, body = await http_get(url)
        if not 200 <= status < 300:
            raise NotReadyError(f"{url} answers {status}: {body[:200].decode(errors='replace')}")

    return probe


async def http_get(url: str) -> tuple[int, bytes]:
    """Status and body of a plain HTTP GET, for servers on this machine."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    async with connection(parts.hostname or "127.0.0.1", parts.port or 80) as (reader, writer):
        request = f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        answer = await reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        raise NotReadyError(f"{url} does not answer in HTTP")
    return int(words[1]), body


@asynccontextmanager
async def connection(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection, closed at the end of the block."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
