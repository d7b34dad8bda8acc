"""docs/glossary.md: the words of the domain in English and Spanish, and where they live in the code.

A place is a dotted name of something that exists (a test looks it up), or empty while the word waits for its code.
"""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A word of the domain."""

    english: str
    spanish: str
    meaning: str
    places: tuple[str, ...] = ()


_REGISTRATION, _AID_CALLS = "shared.contracts.registration", "shared.contracts.aid_calls"
_EVALUATION, _NOTIFICATIONS = "shared.contracts.evaluation", "shared.contracts.notifications"
_PEOPLE, _WIRE = "shared.contracts.people", "shared.contracts.wire"

MEETINGS = (
    Word(
        "meeting",
        "encuentro",
        "one CONECTA meeting: place, dates, theme, capacity",
        (f"{_REGISTRATION}.CreateMeeting", f"{_REGISTRATION}.MeetingState", "services.registration.domain.Meeting"),
    ),
    Word("session", "sesión", "an item of its agenda (talk, workshop, round table), with its own attendance"),
    Word("partner", "institución aliada", "public sector, private sector or civil society; what it contributes"),
    Word(
        "registration",
        "inscripción",
        "a person's place at a meeting: confirmed, waitlisted, cancelled",
        (f"{_REGISTRATION}.RegisterParticipant", f"{_REGISTRATION}.RegistrationState"),
    ),
    Word(
        "waitlist",
        "lista de espera",
        "who comes when a place is freed, in order of acceptance",
        (f"{_REGISTRATION}.RegistrationWaitlisted", f"{_REGISTRATION}.RegistrationPromoted"),
    ),
    Word("check-in", "acreditación", "proof of presence, per meeting and per session"),
    Word("certificate", "constancia", "given only to people who were there; verifiable by anyone"),
    Word("network", "red", "people who chose at a meeting to be put in touch, by theme"),
    Word("survey", "encuesta", "after a meeting, and again after 6 and 12 months"),
)
CALLS = (
    Word(
        "call",
        "convocatoria",
        "an open call for mobility aids: rules, schedule, fund, criteria",
        (f"{_AID_CALLS}.CreateCall", f"{_AID_CALLS}.CallOpened", f"{_AID_CALLS}.CallClosed"),
    ),
    Word("rules", "bases", "what a call is decided by; frozen when it opens", (f"{_AID_CALLS}.CallRules",)),
    Word(
        "application",
        "postulación",
        "what a person submits to a call; late is decided by the time the bus stored it",
        (f"{_AID_CALLS}.SubmitApplication", f"{_AID_CALLS}.ApplicationState", "services.aid_calls.domain.untimely"),
    ),
    Word("observation, correction", "observación, subsanación", "the team asks for something missing; it is mended"),
    Word(
        "eligible",
        "apta",
        "meets every rule that is no matter of taste: residence, age, documents",
        ("services.aid_calls.domain.ineligibility", f"{_AID_CALLS}.ApplicationRuledEligible"),
    ),
    Word(
        "fare, per diem, tariff",
        "pasaje, viático, tarifa",
        "the tariff of a region is fare + per diem × days",
        ("services.aid_calls.domain.aid_amount",),
    ),
    Word("fund", "fondo", "what a call can grant in all; a share of it may be reserved", (f"{_AID_CALLS}.Fund",)),
    Word(
        "aid, award",
        "ayuda, beneficiario",
        "the money granted, and who gets it",
        (f"{_AID_CALLS}.AidAwarded", "services.aid_calls.allocation.allocate"),
    ),
    Word("reserve list", "lista de suplentes", "qualified, but the fund ran out", (f"{_AID_CALLS}.AidReserved",)),
    Word("appeal", "recurso", "an applicant contests a result, in time"),
    Word("acceptance", "acta de compromiso", "the beneficiary commits"),
    Word("disbursement", "entrega", "money paid: pending, paid, failed, returned"),
    Word("accountability report", "rendición", "receipts and a short report after travelling"),
)
EVALUATION = (
    Word(
        "panel, evaluator",
        "jurado, evaluador(a)",
        "who scores",
        (f"{_EVALUATION}.AssignEvaluator", f"{_PEOPLE}.Role.EVALUATOR"),
    ),
    Word(
        "conflict of interest",
        "conflicto de interés",
        "declared or computed; bars access to the application",
        (f"{_EVALUATION}.DeclareConflict", f"{_EVALUATION}.ConflictDeclared"),
    ),
    Word(
        "review",
        "evaluación",
        "one evaluator's scores and reasons",
        (f"{_EVALUATION}.SubmitReview", f"{_EVALUATION}.ReviewSubmitted"),
    ),
    Word(
        "criterion", "criterio", "what a review scores; the weights of a call add to 100", (f"{_AID_CALLS}.Criterion",)
    ),
    Word("total", "puntaje total", "of a review or application, 0–100", ("services.evaluation.scoring.review_total",)),
    Word(
        "ranking, minutes",
        "orden de mérito, acta",
        "the panel's result",
        (f"{_EVALUATION}.FinaliseRanking", f"{_EVALUATION}.RankingFinalised"),
    ),
    Word(
        "measure report",
        "informe de la medida",
        "the UNESCO policy/measure entry",
        (f"{_EVALUATION}.MeasureReport", f"{_EVALUATION}.MeasureReportAnswer"),
    ),
    Word(
        "exchange rate", "tipo de cambio", "PEN for one USD, its day and source", (f"{_EVALUATION}.RecordExchangeRate",)
    ),
)
PEOPLE = (
    Word(
        "person",
        "persona",
        "one document, or one e-mail without one",
        (f"{_REGISTRATION}.Person", f"{_PEOPLE}.PersonDetails"),
    ),
    Word("document", "documento de identidad", "DNI, carné de extranjería, passport", (f"{_PEOPLE}.Document",)),
    Word("region", "región", "INEI two-digit code", ("shared.contracts.peru.REGIONS", f"{_PEOPLE}.RegionCode")),
    Word("sector", "sector cultural", "music, performing arts, …", (f"{_PEOPLE}.Sector",)),
    Word("consent", "consentimiento", "one purpose agreed to, with the text shown and when", (f"{_PEOPLE}.Consent",)),
    Word(
        "role",
        "rol",
        "participant (participante), organiser (organizador/a), evaluator, accountant (contador/a), operator",
        (f"{_PEOPLE}.Role",),
    ),
    Word(
        "notification",
        "aviso",
        "one mail to one person about one fact",
        (f"{_NOTIFICATIONS}.NotificationSent", f"{_NOTIFICATIONS}.NotificationFailed"),
    ),
)
MACHINERY = (
    Word("command", "orden", "something that a person asks a service to do", ("shared.contracts.base.Command",)),
    Word(
        "receipt",
        "constancia de recepción",
        "the bus's acceptance of a command, signed; anyone can check it",
        (f"{_WIRE}.Receipt", "shared.receipts.verify"),
    ),
    Word("outcome", "resultado de la orden", "what became of a command: applied or rejected", (f"{_WIRE}.Outcome",)),
    Word("problem", "observación del sistema", "one thing that is wrong, with a stable code", (f"{_WIRE}.Problem",)),
    Word("fact", "hecho", "something that has happened; immutable, no personal data", ("shared.contracts.base.Fact",)),
    Word("record", "registro", "the last value of one person; erasable", ("shared.contracts.base.Record",)),
    Word("question", "consulta", "something that a person asks a service to tell", ("shared.contracts.base.Question",)),
    Word("journal", "diario", "a service's own append-only list of facts", ("shared.journal.Journal",)),
    Word("relay", "retransmisor", "publishes the journal", ("shared.relay.Relay",)),
    Word("actor", "actor", "the person on whose behalf something is sent", ("shared.identity.Actor",)),
    Word(
        "parked",
        "apartado",
        "a message whose handling failed for good, kept for operators",
        (f"{_WIRE}.STREAM_PARKED",),
    ),
    Word("card", "ficha", "what a service owns, publishes and hears", ("deploy.provision.cards.Card",)),
    Word("story", "relato", "the whole line, run once on files", ("deploy.story.story",)),
)
WORDS = {
    "Meetings": MEETINGS,
    "Calls": CALLS,
    "The jury and the report": EVALUATION,
    "People": PEOPLE,
    "Machinery": MACHINERY,
}

_INTRODUCTION = """\
# Glossary

<!-- Made by `conecta docs` from deploy/documents/glossary.py. -->

The words of the code and of the interface's English, and their Spanish in what people read. A word without a place is
agreed on and waits for its code.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for title, words in WORDS.items():
        rows = [
            f"| {word.english} | {word.spanish} | {word.meaning} | {', '.join(f'`{place}`' for place in word.places)} |"
            for word in words
        ]
        head = "| English, in code | Spanish, on screen | what it is | where |\n|---|---|---|---|"
        parts.append("\n".join([f"## {title}\n", head, *rows]) + "\n")
    return "\n".join(parts)
