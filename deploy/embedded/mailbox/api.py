"""The mailbox for programs: JSON."""

from pydantic import ValidationError

from deploy.embedded.mailbox.faults import Fault, Faults
from deploy.embedded.mailbox.http import Request, Response, Routes, as_json, problem, route
from deploy.embedded.mailbox.store import Mail, MailStore, find
from deploy.embedded.mailbox.views import ID


class Api:
    """What tests and scripts ask."""

    def __init__(self, store: MailStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def routes(self) -> Routes:
        """By path and method."""
        return (
            route("/api/messages", GET=self.list_messages, DELETE=self.delete_all),
            route(f"/api/messages/{ID}", GET=self.show_message, DELETE=self.delete_message),
            route("/api/count", GET=self.count),
            route("/api/fault", GET=self.list_faults, POST=self.add_fault, DELETE=self.clear_faults),
        )

    async def list_messages(self, request: Request) -> Response:
        """`query`, `limit` (50, at most 1000), `offset`: how many match, and some of them, the newest first."""
        try:
            limit = request.number("limit", default=50, least=1, most=1000)
            offset = request.number("offset", default=0, least=0, most=10_000_000)
        except ValueError:
            return problem(400, "limit and offset are numbers")
        total, mails = await find(self._store, request.query.get("query", ""), limit=limit, offset=offset)
        return as_json({"total": total, "messages": [_summary(mail) for mail in mails]})

    async def show_message(self, _request: Request, mail_id: str) -> Response:
        """One, with its text, HTML and attachments."""
        mail = self._store.get(mail_id)
        if mail is None:
            return problem(404, "no such message")
        content = mail.content()
        attachments = [
            {"name": one.name, "type": one.content_type, "size": len(one.content)} for one in content.attachments
        ]
        return as_json({**_summary(mail), "text": content.text, "html": content.html, "attachments": attachments})

    async def delete_message(self, _request: Request, mail_id: str) -> Response:
        """One."""
        if not self._store.delete(mail_id):
            return problem(404, "no such message")
        return as_json({"deleted": 1})

    async def delete_all(self, _request: Request) -> Response:
        """All."""
        return as_json({"deleted": self._store.delete_all()})

    async def count(self, _request: Request) -> Response:
        """How many there are, and of each template."""
        return as_json({"total": self._store.count(), "by_template": self._store.count_by_template()})

    async def list_faults(self, _request: Request) -> Response:
        """Those in force."""
        return as_json({"faults": [fault.model_dump() for fault in self._faults.active()]})

    async def add_fault(self, request: Request) -> Response:
        """Put one in force: see Fault."""
        try:
            fault = Fault.model_validate_json(request.body)
        except ValidationError as error:
            return as_json({"error": error.errors(include_url=False, include_context=False)}, status=422)
        self._faults.add(fault)
        return as_json(fault.model_dump(), status=201)

    async def clear_faults(self, _request: Request) -> Response:
        """Behave again."""
        self._faults.clear()
        return as_json({"faults": []})


def _summary(mail: Mail) -> dict[str, object]:
    return {
        "id": mail.id,
        "from": mail.sender,
        "to": list(mail.recipients),
        "subject": mail.subject,
        "received_at": mail.received_at.isoformat(),
        "size": mail.size,
        "headers": mail.headers,
    }
