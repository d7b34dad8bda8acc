"""The local mailbox as a process: mails over real SMTP, read over real HTTP."""

import asyncio
import json
import smtplib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from deploy.embedded.ports import free_port

HTML = "<!doctype html><html><head><title>Nada</title></head><body><script>alert(1)</script><p>Confirme aquí</p></body>"


@dataclass(frozen=True)
class Mailbox:
    """A running mailbox."""

    smtp_port: int
    http_port: int
    directory: Path
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Where it is read."""
        return f"http://127.0.0.1:{self.http_port}"

    def ask(
        self, path: str, *, method: str = "GET", body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer, without following redirects."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers or {}, method=method)  # noqa: S310 (http)
        try:
            with OPENER.open(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()

    def api(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        """What the API answers."""
        return json.loads(self.ask(f"/api/{path}", method=method, body=body)[2])

    def send(self, mail: EmailMessage, *recipients: str) -> None:
        """Over a connection of its own."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=10) as client:
            client.send_message(mail, "avisos@conecta.pe", recipients or [str(mail["To"])])


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Show the redirect itself."""


OPENER = urllib.request.build_opener(_NoRedirects)


@contextmanager
def running(directory: Path) -> Iterator[Mailbox]:
    """A mailbox process on that directory, ready."""
    smtp_port, http_port = free_port(), free_port()
    arguments = ["--smtp-port", str(smtp_port), "--http-port", str(http_port), "--dir", str(directory)]
    command = [sys.executable, "-m", "deploy.embedded.mailbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("mailbox: ")
            mailbox = Mailbox(smtp_port, http_port, directory, process)
            _wait_for_port(mailbox.http_port)
            yield mailbox
        finally:
            process.terminate()


def _wait_for_port(port: int) -> None:
    give_up = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        else:
            return


@pytest.fixture(scope="module")
def shared_mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """One process for the tests that need no restart."""
    with running(tmp_path_factory.mktemp("mailbox") / "mails") as mailbox:
        yield mailbox


@pytest.fixture
def mailbox(shared_mailbox: Mailbox) -> Mailbox:
    """Empty and well-behaved."""
    shared_mailbox.api("messages", method="DELETE")
    shared_mailbox.api("fault", method="DELETE")
    return shared_mailbox


def mail(
    to: str = "rosa@correo.pe", subject: str = "Su inscripción", text: str = "Hola, Rosa", template: str = ""
) -> EmailMessage:
    """A mail with text and HTML."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Conecta <avisos@conecta.pe>", to, subject
    if template:
        message["X-Conecta-Template"] = template
    message.set_content(text)
    message.add_alternative(HTML, subtype="html")
    return message


def test_a_mail_is_listed_with_its_sender_recipients_subject_and_headers(mailbox: Mailbox) -> None:
    mailbox.send(mail(template="aid-awarded"), "rosa@correo.pe", "copia@correo.pe")
    answer = mailbox.api("messages")
    [listed] = answer["messages"]
    assert answer["total"] == 1
    assert [listed["from"], listed["to"], listed["subject"]] == [
        "avisos@conecta.pe",
        ["rosa@correo.pe", "copia@correo.pe"],
        "Su inscripción",
    ]
    assert listed["headers"]["X-Conecta-Template"] == "aid-awarded"
    assert "Received" not in listed["headers"]


def test_one_mail_has_its_text_html_and_attachments(mailbox: Mailbox) -> None:
    message = mail()
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="constancia ñ.pdf")
    mailbox.send(message)
    mail_id = mailbox.api("messages")["messages"][0]["id"]
    read = mailbox.api(f"messages/{mail_id}")
    assert [read["text"].strip(), read["html"].strip()] == ["Hola, Rosa", HTML]
    assert read["attachments"] == [{"name": "constancia ñ.pdf", "type": "application/pdf", "size": 5}]
    status, headers, content = mailbox.ask(f"/messages/{mail_id}/attachments/0")
    assert [status, headers["content-type"], content] == [200, "application/octet-stream", "%PDF-"]
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''constancia%20%C3%B1.pdf"


def test_the_newest_mails_come_first_in_pages(mailbox: Mailbox) -> None:
    for number in range(5):
        mailbox.send(mail(subject=f"n{number}"))
    first = mailbox.api("messages?limit=2")
    last = mailbox.api("messages?limit=2&offset=4")
    assert [one["subject"] for one in first["messages"] + last["messages"]] == ["n4", "n3", "n0"]
    assert [first["total"], last["total"]] == [5, 5]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Ayuda otorgada", "Su inscripción"]),
        ("INSCRIPCION", ["Su inscripción"]),
        ("carlos@", ["Ayuda otorgada"]),
        ("kilómetros", ["Ayuda otorgada"]),
        ("confirme aqui", ["Ayuda otorgada", "Su inscripción"]),
        ("alert", []),
        ("carlos inscripcion", []),
        ("template:aid-awarded", ["Ayuda otorgada"]),
        ("to:rosa subject:ayuda", []),
        ("subject:ayuda", ["Ayuda otorgada"]),
    ],
)
def test_mails_are_found_by_recipient_subject_template_and_text(mailbox: Mailbox, query: str, found: list[str]) -> None:
    mailbox.send(mail())
    mailbox.send(mail("carlos@correo.pe", "Ayuda otorgada", "Por los kilometros", "aid-awarded"))
    answer = mailbox.ask(f"/api/messages?{urllib.parse.urlencode({'query': query})}")[2]
    assert [one["subject"] for one in json.loads(answer)["messages"]] == found


def test_mails_are_counted_by_template(mailbox: Mailbox) -> None:
    for template in ("aid-awarded", "welcome", "aid-awarded", ""):
        mailbox.send(mail(template=template))
    assert mailbox.api("count") == {"total": 4, "by_template": {"aid-awarded": 2, "welcome": 1}}


def test_one_mail_or_all_are_deleted_with_their_files(mailbox: Mailbox) -> None:
    for number in range(3):
        mailbox.send(mail(subject=f"n{number}"))
    middle = mailbox.api("messages")["messages"][1]["id"]
    assert mailbox.api(f"messages/{middle}", method="DELETE") == {"deleted": 1}
    assert [one["subject"] for one in mailbox.api("messages")["messages"]] == ["n2", "n0"]
    assert mailbox.ask(f"/api/messages/{middle}")[0] == 404
    assert mailbox.api("messages", method="DELETE") == {"deleted": 2}
    assert list(mailbox.directory.iterdir()) == []


def test_a_file_is_named_after_nobody_and_holds_the_mail_as_it_came(mailbox: Mailbox) -> None:
    mailbox.send(mail())
    [path] = mailbox.directory.iterdir()
    assert path.name == mailbox.api("messages")["messages"][0]["id"] + ".eml"
    assert path.stat().st_mode & 0o077 == 0
    head, _, rest = path.read_bytes().partition(b"Received: by localhost; ")
    assert head == b"Return-Path: <avisos@conecta.pe>\r\nDelivered-To: rosa@correo.pe\r\n"
    assert rest.partition(b"\r\n")[2].startswith(b"From: Conecta <avisos@conecta.pe>\r\nTo: rosa@correo.pe\r\n")


def test_mails_survive_kill_9_and_a_half_written_one_is_forgotten(tmp_path: Path) -> None:
    with running(tmp_path / "mails") as before:
        before.send(mail(subject="Primero ñ"))
        before.send(mail(subject="Segundo"), "uno@correo.pe", "dos@correo.pe")
        listed = before.api("messages")
        (before.directory / "0000000000000000-0000000000000000.part").write_text("From: nobody")
        before.process.kill()
        before.process.wait()
    with running(tmp_path / "mails") as after:
        assert after.api("messages") == listed
        assert len(list(after.directory.iterdir())) == 2


def test_a_request_to_stop_ends_it_with_status_0(tmp_path: Path) -> None:
    with running(tmp_path / "mails") as mailbox:
        mailbox.process.terminate()
        assert mailbox.process.wait(timeout=10) == 0


def refusal(mailbox: Mailbox, recipient: str) -> int:
    """The code with which a recipient is refused; 0 if the mail is taken."""
    try:
        mailbox.send(mail(recipient))
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients[recipient][0]
    return 0


def test_recipients_are_refused_as_ordered_for_as_long_as_ordered(mailbox: Mailbox) -> None:
    assert mailbox.api("fault", method="POST", body={"kind": "4xx", "address_pattern": "*@MALO.pe", "times": 2}) == {
        "kind": "4xx",
        "address_pattern": "*@MALO.pe",
        "times": 2,
        "seconds": 30.0,
    }
    mailbox.api("fault", method="POST", body={"kind": "5xx", "address_pattern": "nadie@*"})
    assert [refusal(mailbox, "ana@bueno.pe"), refusal(mailbox, "ana@malo.pe"), refusal(mailbox, "ana@malo.pe")] == [
        0,
        451,
        451,
    ]
    assert [refusal(mailbox, "ana@malo.pe"), refusal(mailbox, "nadie@malo.pe")] == [0, 550]
    assert [fault["kind"] for fault in mailbox.api("fault")["faults"]] == ["5xx"]
    mailbox.api("fault", method="DELETE")
    assert refusal(mailbox, "nadie@malo.pe") == 0


def test_a_drop_before_the_data_keeps_no_mail(mailbox: Mailbox) -> None:
    mailbox.api("fault", method="POST", body={"kind": "drop-before-data", "times": 1})
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        mailbox.send(mail())
    assert mailbox.api("count")["total"] == 0
    mailbox.send(mail())
    assert mailbox.api("count")["total"] == 1


def test_a_drop_after_the_data_keeps_the_mail_and_says_nothing(mailbox: Mailbox) -> None:
    mailbox.api("fault", method="POST", body={"kind": "drop-after-data", "times": 1})
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        mailbox.send(mail())
    assert mailbox.api("count")["total"] == 1


def test_a_slow_answer_comes_late(mailbox: Mailbox) -> None:
    mailbox.api("fault", method="POST", body={"kind": "slow", "seconds": 0.3, "times": 1})
    began = time.monotonic()
    mailbox.send(mail())
    assert time.monotonic() - began > 0.3
    assert mailbox.api("count")["total"] == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"kind": "6xx"}, {"kind": "4xx", "times": 0}, {"kind": "slow", "seconds": 1e9}, {"kind": "4xx", "x": 1}, []],
)
def test_a_fault_that_cannot_be_is_refused(mailbox: Mailbox, body: object) -> None:
    assert mailbox.ask("/api/fault", method="POST", body=body)[0] == 422
    assert mailbox.api("fault") == {"faults": []}


def test_pages_are_in_spanish_and_escape_what_people_wrote(mailbox: Mailbox) -> None:
    mailbox.send(mail(subject="<b>Ojo</b>"))
    status, headers, page = mailbox.ask("/?q=%3Cb%3E")
    assert status == 200
    assert '<html lang="es">' in page
    assert "&lt;b&gt;Ojo&lt;/b&gt;" in page
    assert "<b>" not in page
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")


def test_html_is_framed_without_rights_and_its_links_open_elsewhere(mailbox: Mailbox) -> None:
    mailbox.send(mail())
    mail_id = mailbox.api("messages")["messages"][0]["id"]
    page = mailbox.ask(f"/messages/{mail_id}")[2]
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "Confirme" not in page
    _, headers, framed = mailbox.ask(f"/messages/{mail_id}/html")
    assert headers["content-security-policy"].startswith("sandbox allow-popups allow-popups-to-escape-sandbox;")
    assert "script-src" not in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert '<head><base target="_blank">' in framed


def test_text_and_source_are_shown_as_text(mailbox: Mailbox) -> None:
    mailbox.send(mail(text="uno & <dos>"))
    mail_id = mailbox.api("messages")["messages"][0]["id"]
    assert "uno &amp; &lt;dos&gt;" in mailbox.ask(f"/messages/{mail_id}?view=text")[2]
    source = mailbox.ask(f"/messages/{mail_id}?view=source")[2]
    assert "Delivered-To: rosa@correo.pe" in source
    assert "&lt;script&gt;" in source


def test_buttons_delete_and_lead_back_to_the_list(mailbox: Mailbox) -> None:
    mailbox.send(mail())
    mailbox.send(mail())
    mail_id = mailbox.api("messages")["messages"][0]["id"]
    status, headers, _ = mailbox.ask(f"/messages/{mail_id}/delete", method="POST", body={})
    assert [status, headers["location"], mailbox.api("count")["total"]] == [303, "/", 1]
    assert "Hay 1. No se podrán recuperar." in mailbox.ask("/delete")[2]
    assert mailbox.ask("/delete", method="POST", body={})[0] == 303
    assert mailbox.api("count")["total"] == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_other_sites_in_the_browser_cannot_delete_mails(mailbox: Mailbox, headers: dict[str, str], status: int) -> None:
    assert mailbox.ask("/api/messages", method="DELETE", headers=headers)[0] == status


def test_a_foreign_name_cannot_read_mails(mailbox: Mailbox) -> None:
    """As a site would that lets its name point to this machine."""
    assert mailbox.ask("/api/messages", headers={"Host": f"evil.example:{mailbox.http_port}"})[0] == 421


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/messages/0000000000000000-0000000000000000", 404),
        ("/messages/..%2f..%2fetc%2fpasswd", 404),
        ("/?page=x", 404),
        ("/api/messages?limit=x", 400),
        ("/api/nothing", 404),
        ("/nothing", 404),
    ],
)
def test_what_is_not_there_is_said_to_be_missing(mailbox: Mailbox, path: str, status: int) -> None:
    assert mailbox.ask(path)[0] == status


MALFORMED = [
    b"",
    b"no headers at all",
    b"Subject: =?utf-8?q?=FF=FE?=\r\n\r\n\xff",
    b"Subject: =?no-such-set?q?x?=\r\nContent-Type: text/plain; charset=no-such-set\r\n\r\nx",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%\r\n",
    b"Content-Type: text/html\r\nContent-ID: <a\r\n\r\n<html",
    b"Subject: \xc3\xb1 sin codificar\r\n\r\n\xc3\xb1",
    b"Content-Disposition: attachment; filename*=no-such-set''%FF\r\n\r\nx",
]


def test_malformed_mails_are_kept_listed_and_shown(mailbox: Mailbox) -> None:
    with smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=10) as client:
        for raw in MALFORMED:
            client.sendmail("a@b.pe", ["c@d.pe"], raw)
    listed = mailbox.api("messages?query=c@d.pe")["messages"]
    assert len(listed) == len(MALFORMED)
    assert mailbox.ask("/?q=nothing-has-this")[0] == 200
    paths = [f"/messages/{one['id']}{view}" for one in listed for view in ("?view=text", "?view=source", "/html")]
    assert {mailbox.ask(path)[0] for path in [*paths, *(f"/api/messages/{one['id']}" for one in listed)]} == {200}
    assert [one["subject"] for one in listed if "codificar" in one["subject"]] == ["ñ sin codificar"]


async def test_hundreds_of_mails_arrive_over_eight_connections(mailbox: Mailbox) -> None:
    """All of them, each once; the speed itself is measured elsewhere."""
    raw = mail(template="welcome").as_bytes()

    async def send(sender: int) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.smtp_port) as client:
            for number in range(50):
                await client.sendmail("a@b.pe", [f"p{sender}-{number}@correo.pe"], raw)

    await asyncio.gather(*(send(sender) for sender in range(8)))
    listed = mailbox.api("messages?limit=1000")["messages"]
    assert {one["to"][0] for one in listed} == {f"p{a}-{b}@correo.pe" for a in range(8) for b in range(50)}
    assert mailbox.api("count") == {"total": 400, "by_template": {"welcome": 400}}
