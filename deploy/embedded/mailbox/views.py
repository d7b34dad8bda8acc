"""The mailbox's pages by address."""

from deploy.embedded.mailbox import pages
from deploy.embedded.mailbox.http import Request, Response, Routes, download, redirect, route
from deploy.embedded.mailbox.message import framed_html, read_content
from deploy.embedded.mailbox.store import MailStore, find

# What a mail may do inside its frame: be looked at, and have its links opened in a new tab.
FRAME_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    " font-src data:; frame-ancestors 'self'"
)
ID = r"(?P<mail_id>[0-9a-f]{16}-[0-9a-f]{16})"
VIEWS = ("html", "text", "source")


class Views:
    """What people see."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    def routes(self) -> Routes:
        """By path and method."""
        return (
            route("/", GET=self.show_list),
            route("/mailbox.css", GET=self.show_style),
            route("/delete", GET=self.ask_delete_all, POST=self.delete_all),
            route(f"/messages/{ID}", GET=self.show_mail),
            route(f"/messages/{ID}/html", GET=self.show_html),
            route(f"/messages/{ID}/file", GET=self.download_mail),
            route(f"/messages/{ID}/attachments/(?P<number>[0-9]{{1,4}})", GET=self.download_attachment),
            route(f"/messages/{ID}/delete", POST=self.delete_mail),
        )

    async def show_list(self, request: Request) -> Response:
        """Those that match, the newest first."""
        query = request.query.get("q", "").strip()
        try:
            page = request.number("page", default=1, least=1, most=1_000_000)
        except ValueError:
            return pages.missing()
        total, mails = await find(self._store, query, limit=pages.PER_PAGE, offset=(page - 1) * pages.PER_PAGE)
        return pages.mail_list(mails, total=total, kept=self._store.count(), query=query, page=page)

    async def show_mail(self, request: Request, mail_id: str) -> Response:
        """One mail as HTML, text or source."""
        mail = self._store.get(mail_id)
        if mail is None:
            return pages.missing()
        raw = mail.path.read_bytes()
        content = read_content(raw)
        view = request.query.get("view", "html" if content.html else "text")
        source = raw.decode("utf-8", errors="replace") if view == "source" else None
        return pages.mail_page(mail, content, source=source, view=view) if view in VIEWS else pages.missing()

    async def show_html(self, _request: Request, mail_id: str) -> Response:
        """The mail's own HTML, for the frame."""
        mail = self._store.get(mail_id)
        if mail is None:
            return pages.missing()
        body = framed_html(mail.content()).encode()
        return Response(body=body, headers={"content-security-policy": FRAME_POLICY})

    async def download_attachment(self, _request: Request, mail_id: str, number: str) -> Response:
        """One attachment."""
        mail = self._store.get(mail_id)
        attachments = mail.content().attachments if mail else ()
        if int(number) >= len(attachments):
            return pages.missing()
        attachment = attachments[int(number)]
        return download(attachment.content, name=attachment.name)

    async def download_mail(self, _request: Request, mail_id: str) -> Response:
        """As a file that mail programs open."""
        mail = self._store.get(mail_id)
        return download(mail.path.read_bytes(), name=f"{mail.id}.eml") if mail else pages.missing()

    async def delete_mail(self, _request: Request, mail_id: str) -> Response:
        """Then show the others."""
        return redirect("/") if self._store.delete(mail_id) else pages.missing()

    async def ask_delete_all(self, _request: Request) -> Response:
        """Ask first."""
        return pages.confirm_delete(self._store.count())

    async def delete_all(self, _request: Request) -> Response:
        """Asked and answered."""
        self._store.delete_all()
        return redirect("/")

    async def show_style(self, _request: Request) -> Response:
        """The one style sheet."""
        return Response(content_type="text/css; charset=utf-8", body=pages.STYLE)
