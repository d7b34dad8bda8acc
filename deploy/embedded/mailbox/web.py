"""The mailbox over HTTP: pages for people, an API for programs and tests."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from deploy.embedded.mailbox.api import Api
from deploy.embedded.mailbox.faults import Faults
from deploy.embedded.mailbox.http import Receive, Request, Response, Routes, Send, problem, read_request, refusal
from deploy.embedded.mailbox.pages import missing
from deploy.embedded.mailbox.store import MailStore
from deploy.embedded.mailbox.views import Views

Application = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]


def application(store: MailStore, faults: Faults) -> Application:
    """The ASGI application."""
    routes = (*Views(store).routes(), *Api(store, faults).routes())

    async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        request = await read_request(scope, receive)
        if request is None:
            await problem(413, "the body is too large").send(send)
            return
        response = refusal(request) or await _answer(routes, request)
        await response.send(send)

    return app


async def _answer(routes: Routes, request: Request) -> Response:
    method = "GET" if request.method == "HEAD" else request.method
    for pattern, handlers in routes:
        if match := pattern.fullmatch(request.path):
            if method not in handlers:
                return problem(405, f"{request.path} knows {', '.join(handlers)}")
            return await handlers[method](request, **match.groupdict())
    return problem(404, "no such path") if request.path.startswith("/api/") else missing()
