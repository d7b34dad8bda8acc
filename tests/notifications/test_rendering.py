"""Filling by bytes gives what Python's own EmailMessage would, whatever people are called."""

from __future__ import annotations

import html
import re
import shutil
from datetime import date
from decimal import Decimal
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from uuid_utils.compat import uuid7

from services.aid_calls.domain import application, ineligibility
from services.notifications.domain import Template
from services.notifications.rendering import FOLDER, Forms, header, one_line
from shared.contracts.aid_calls import SubmitApplication
from shared.contracts.people import Sector
from tests.notifications.cast import MEETING, NOW, call, mail

DATE = "Tue, 24 Nov 2026 22:00:00 +0000"
SENDER = "Encuentros CONECTA <no-responder@conecta.example>"
FORMS = Forms(sender=SENDER)

NASTY = st.one_of(
    st.text(min_size=1, max_size=200),
    st.text(alphabet="ñáéíóúÑ'\"<>&=?_-.,;:\\()[]@ \r\n\t\x00\x0b\u2028\u202e\u200d👩🎻é{}", min_size=1, max_size=200),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            'Rosa "la Ñusta" Quispe',
            "x\r\nBcc: everybody@example.org",
            "=?utf-8?q?evil?=",
            "Ñ" * 500,
            "a" * 5000,
            "👩‍🎤👨‍👩‍👧‍👦🇵🇪",
            ".",
            "\r\n.\r\n",
            "{{ given }} {% raw %} \ue000title\ue001",
            "From here to there",
            "soft=\r\nbreak=",
        ]
    ),
)


def parsed(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=policy.default)


def parts(message: EmailMessage) -> tuple[str, str]:
    plain, rich = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    return plain, rich


@pytest.mark.parametrize("template", list(Template))
def test_every_template_is_a_sound_mail_with_both_parts(template: Template) -> None:
    one = mail(template)
    raw = FORMS.fill(one, date=DATE)
    message = parsed(raw)
    assert [part.defects for part in message.walk()] == [[], [], []]
    assert {name: message[name] for name in message.keys()} == {  # noqa: SIM118 — a message is no dict
        "From": '"Encuentros CONECTA" <no-responder@conecta.example>'.replace('"', ""),
        "To": '"Rosa Quispe Ñahui" <rosa@example.org>'.replace('"', ""),
        "Subject": message["Subject"],
        "Date": DATE,
        "Message-ID": f"<{one.delivery_id}@conecta.example>",
        "MIME-Version": "1.0",
        "Auto-Submitted": "auto-generated",
        "X-Conecta-Template": template.value,
        "Content-Language": "es",
        "Content-Type": 'multipart/alternative; boundary="=_conecta"',
    }
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Subject"].endswith(f": {MEETING}")


@pytest.mark.parametrize("template", list(Template))
def test_every_mail_travels_everywhere(template: Template) -> None:
    raw = FORMS.fill(mail(template, given="Ñ" * 300, family="<&> " * 50), date=DATE)
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    lines = raw.split(b"\r\n")
    assert not [line for line in lines if b"\r" in line or b"\n" in line]
    assert max(len(line) for line in lines) <= 76


@pytest.mark.parametrize("template", list(Template))
def test_every_mail_says_who_writes_to_whom_and_why(template: Template) -> None:
    for text in parts(parsed(FORMS.fill(mail(template), date=DATE))):
        words = " ".join(html.unescape(re.sub(r"<style.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)).split())
        assert "Hola, Rosa:" in words.replace(" :", ":")
        assert "Te escribe el Ministerio de Cultura del Perú, que organiza los Encuentros CONECTA. Recibes" in words
        assert MEETING in words
        assert "\ue000" not in text


@pytest.mark.parametrize("template", list(Template))
def test_no_mail_loads_anything_from_elsewhere(template: Template) -> None:
    _, rich = parts(parsed(FORMS.fill(mail(template), date=DATE)))
    assert set(re.findall(r"https?://[^\"')\s]*", rich)) <= {"http://www.w3.org/1999/xhtml"}
    assert not re.findall(r"<(?:img|link|script|iframe)", rich)
    assert '<html lang="es"' in rich


@pytest.mark.parametrize("template", list(Template))
def test_both_parts_of_a_mail_say_the_same_values(template: Template) -> None:
    plain, rich = parts(parsed(FORMS.fill(mail(template), date=DATE)))
    figures = r"S/\s[\d,.]+|\d+\.\d\d de 100|\d\d:\d\d(?::\d\d)?|[0-9a-f]{8}-[0-9a-f-]{27}|MOV-\S+-2019"
    body = re.sub(r"<style.*?</style>|<head>.*</head>|<!--.*?-->", "", rich, flags=re.DOTALL)
    assert sorted(re.findall(figures, body)) == sorted(re.findall(figures, plain))


def test_dates_are_of_lima_and_money_is_peruvian() -> None:
    awarded, _ = parts(parsed(FORMS.fill(mail(Template.AID_AWARDED), date=DATE)))
    assert "Ayuda otorgada: S/\xa01,150.00\n" in awarded
    assert "Puntaje: 93.50 de 100\n" in awarded
    confirmed, _ = parts(parsed(FORMS.fill(mail(Template.REGISTRATION_CONFIRMED), date=DATE)))
    assert "Empieza: jueves 12 de setiembre de 2019, 09:00 (hora de Lima)\n" in confirmed
    assert "Dónde: Centro de Convenciones, Cusco\n" in confirmed


def test_an_application_is_confirmed_to_the_second() -> None:
    submitted, _ = parts(parsed(FORMS.fill(mail(Template.APPLICATION_SUBMITTED), date=DATE)))
    assert "Recibida: miércoles 12 de junio de 2019, 12:59:58 (hora de Lima)\n" in submitted
    assert "Número de postulación: 0196b1c2-7d4e-7a11-8c52-3f5e9d0a4b17\n" in submitted


def reasons_told(*codes: str) -> list[str]:
    """What a mail says for these codes, the same in both parts."""
    one = mail(Template.APPLICATION_RULED_INELIGIBLE, values={"reasons": list(codes)})
    plain, rich = parts(parsed(FORMS.fill(one, date=DATE)))
    told = re.findall(r"^- (.*)$", plain, flags=re.MULTILINE)
    assert [html.unescape(item) for item in re.findall("<li>(.*?)</li>", rich)] == told
    return told


def test_every_reason_is_told_also_one_that_is_new() -> None:
    assert reasons_told("under-18", "missing-document-dni-copy", "brand-new<") == [
        "Debes ser mayor de edad (18 años) el día del cierre de la convocatoria.",
        "Falta un documento que piden las bases: dni-copy.",
        "No se cumple un requisito de las bases (brand-new<).",
    ]


@pytest.mark.parametrize("country", ["PE", "BO"])
@pytest.mark.parametrize("region", ["08", "15", "25"])
def test_aid_calls_gives_no_reason_that_has_no_sentence(country: str, region: str) -> None:
    rules = call(required_documents=["dni-copy"])
    command = SubmitApplication(
        application_id=uuid7(),
        call_id=rules.call_id,
        country=country,
        region=region,
        birth=date(2010, 1, 1),
        sector=Sector.MUSIC,
        requested=Decimal(850),
        project="Festival",
    )
    failed = ineligibility(rules, application(command, person_id=uuid7(), accepted_at=NOW, rules=rules))
    assert len(reasons_told(*failed)) == len(failed) >= 2
    assert not [told for told in reasons_told(*failed) if "No se cumple un requisito" in told]


def test_a_language_without_texts_of_its_own_gets_spanish() -> None:
    assert parsed(FORMS.fill(mail(language="qu"), date=DATE))["Content-Language"] == "es"


@given(given_name=NASTY, family=NASTY, title=NASTY, template=st.sampled_from(Template))
@example(given_name="\x00", family="\u202e", title="\n", template=Template.AID_AWARDED)
def test_whatever_people_are_called_the_mail_is_what_email_message_would_make(
    given_name: str, family: str, title: str, template: Template
) -> None:
    one = mail(template, given=given_name, family=family, values={"title": title})
    calm = mail(template, given="GIVEN", family="FAMILY", values={"title": "TITLE"}, delivery_id=one.delivery_id)
    plain, rich = parts(parsed(FORMS.fill(calm, date=DATE)))
    subject = parsed(FORMS.fill(calm, date=DATE))["Subject"]
    said = {"GIVEN": one_line(given_name), "TITLE": one_line(title)}
    expected = EmailMessage(policy=policy.SMTP)
    expected["Subject"] = _filled(subject, said)
    expected.set_content(_filled(plain, said))
    expected.add_alternative(_filled(rich, {name: html.escape(value) for name, value in said.items()}), subtype="html")
    raw = FORMS.fill(one, date=DATE)
    found, reference = parsed(raw), parsed(expected.as_bytes())
    assert [part.defects for part in found.walk()] == [[], [], []]
    assert _unfolded(found["Subject"]) == _unfolded(_filled(subject, said))
    assert parts(found) == parts(reference)
    assert [address.addr_spec for address in found["To"].addresses] == ["rosa@example.org"]
    assert _recipient(raw).split() == one_line(f"{given_name} {family}").split()
    assert sorted(found.keys()) == sorted(parsed(FORMS.fill(calm, date=DATE)).keys())


def _filled(text: str, said: dict[str, str]) -> str:
    return re.sub("GIVEN|TITLE", lambda match: said[match[0]], text)


def _recipient(raw: bytes) -> str:
    """The name in To. EmailMessage leaves blanks between the encoded words of a long name, this older way does not."""
    name, _ = parseaddr(message_from_bytes(raw)["To"].replace("\r\n", ""))
    return str(make_header(decode_header(name)))


def _unfolded(text: str) -> list[str]:
    """Words: parsers differ in how many blanks a folded header has."""
    return str(text).split()


@given(NASTY)
def test_a_header_is_one_line_however_it_is_folded(text: str) -> None:
    line = one_line(text)
    value = header(line)
    assert value.isascii()
    assert not re.search(rb"\r\n(?! )|(?<!\r)\n|\r(?!\n)", value)
    message = parsed(b"Subject: " + value + b"\r\n\r\n")
    assert str(message["Subject"]).split() == line.split()
    assert list(message.keys()) == ["Subject"]


def test_a_placeholder_that_nobody_fills_is_found_when_the_service_starts(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    shutil.copytree(FOLDER, folder)
    (folder / "aid-awarded" / "es" / "subject.txt").write_text("Hola, {{ nickname }}")
    with pytest.raises(UndefinedError, match="nickname"):
        Forms(sender=SENDER, folder=folder)


def test_a_template_without_texts_is_found_when_the_service_starts(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    shutil.copytree(FOLDER, folder)
    (folder / "aid-awarded" / "es" / "body.txt").unlink()
    with pytest.raises(Exception, match=r"body\.txt"):
        Forms(sender=SENDER, folder=folder)
