"""What every stable code of a problem means, in words: for the command line, mails and pages. Pure data.

A code without a text here is shown as it is; `tests/contracts` sees that none is forgotten.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from shared.contracts.wire import Problem


class Text(NamedTuple):
    """A sentence in Spanish and in English; `{name}` stands for a detail of the problem."""

    es: str
    en: str


TEXTS: dict[str, Text] = {
    # The form of a command (shared.contracts.wire.SHAPE_CODES).
    "required": Text("falta", "is missing"),
    "unknown-field": Text("no es un dato conocido", "is not a known field"),
    "not-text": Text("debe ser texto", "must be text"),
    "not-a-whole-number": Text("debe ser un número entero", "must be a whole number"),
    "not-a-number": Text("debe ser un número", "must be a number"),
    "not-true-or-false": Text("debe ser sí o no", "must be true or false"),
    "not-an-object": Text("debe ser un conjunto de datos", "must be an object"),
    "not-a-list": Text("debe ser una lista", "must be a list"),
    "too-short": Text("es demasiado corto", "is too short"),
    "too-long": Text("es demasiado largo", "is too long"),
    "wrong-format": Text("no tiene el formato debido", "does not have the right format"),
    "too-small": Text("es demasiado pequeño", "is too small"),
    "too-large": Text("es demasiado grande", "is too large"),
    "not-one-of": Text("no es uno de los valores posibles", "is not one of the possible values"),
    "invalid": Text("no es válido", "is not valid"),
    "invalid-id": Text("no es un identificador", "is not an identifier"),
    "invalid-amount": Text("no es una cantidad", "is not an amount"),
    "invalid-date": Text("no es una fecha", "is not a date"),
    "invalid-instant": Text("no es una fecha con hora", "is not a date and time"),
    "instant-without-zone": Text("no dice su zona horaria", "has no time zone"),
    "invalid-character": Text("tiene un carácter que no se puede guardar", "has a character that cannot be stored"),
    "malformed": Text("no se puede leer", "cannot be read"),
    "more-problems": Text("y {number} problemas más", "and {number} more problems"),
    "unknown-region": Text("no es una región del Perú", "is not a region of Peru"),
    "invalid-email": Text("no es un correo electrónico", "is not an e-mail address"),
    "invalid-phone": Text("no es un número de teléfono", "is not a telephone number"),
    "invalid-birth-date": Text("no puede ser una fecha de nacimiento", "cannot be a date of birth"),
    "invalid-dni": Text("no es un DNI: son 8 dígitos", "is not a DNI: 8 digits"),
    "invalid-document": Text("no es un documento de identidad", "is not an identity document"),
    "unknown-sector": Text("no es un sector conocido", "is not a known sector"),
    "unknown-gender": Text("no es una de las respuestas posibles", "is not one of the possible answers"),
    "damaged-text": Text("tiene letras que no se pueden leer", "has characters that cannot be read"),
    "unknown-document-type": Text("no es un tipo de documento conocido", "is not a known type of document"),
    # Who may do what.
    "discarded": Text("el operador no la tramitará: {why}", "the operator will not carry it out: {why}"),
    "not-allowed": Text("no tiene permiso para esto", "you may not do this"),
    "unknown-command": Text("el servicio no conoce este comando", "the service does not know this command"),
    "id-taken": Text("ese identificador ya está en uso", "that identifier is taken"),
    "somebody-else": Text("ese identificador es de otra persona", "that identifier is somebody else's"),
    # Meetings and registrations.
    "code-taken": Text("ya existe uno con ese código", "there is one with that code already"),
    "ends-before-start": Text("termina antes de empezar", "ends before it starts"),
    "no-such-meeting": Text("no existe ese encuentro", "there is no such meeting"),
    "meeting-not-published": Text("el encuentro todavía no se publica", "the meeting is not published yet"),
    "meeting-started": Text("el encuentro ya empezó", "the meeting has started"),
    "no-such-person": Text("no se conoce a esa persona", "that person is not known"),
    "no-such-registration": Text("no existe esa inscripción", "there is no such registration"),
    # Calls and applications.
    "closes-before-opening": Text("cierra antes de abrir", "closes before it opens"),
    "score-range-empty": Text(
        "el puntaje máximo debe ser mayor que el mínimo", "the highest score must exceed the lowest"
    ),
    "score-range-not-positive": Text("los puntajes no pueden ser negativos", "scores cannot be negative"),
    "weights-not-100": Text("los pesos deben sumar 100 y suman {sum}", "weights must add to 100, they add to {sum}"),
    "repeated-criterion": Text("el criterio {key} está repetido", "criterion {key} is repeated"),
    "no-such-call": Text("no existe esa convocatoria", "there is no such call"),
    "call-not-open": Text("la convocatoria todavía no abre", "the call is not open yet"),
    "late": Text("llegó después del cierre", "it came after the closing"),
    "results-published": Text("los resultados ya se publicaron", "the results are published"),
    "already-applied": Text("ya tiene una postulación a esta convocatoria", "you have applied to this call already"),
    "no-such-application": Text("no existe esa postulación", "there is no such application"),
    "already-decided": Text("la postulación ya tiene resultado", "the application has been decided"),
    # Why an application is not eligible.
    "resides-outside-peru": Text("no reside en el Perú", "does not live in Peru"),
    "resides-in-host-region": Text("reside en la región sede del encuentro", "lives in the host region"),
    "region-without-fare": Text("la convocatoria no cubre su región", "the call does not cover the region"),
    "under-18": Text("no es mayor de edad a la fecha de cierre", "is under 18 on the day of closing"),
    "missing-document": Text("falta un documento requerido: {kind}", "a required document is missing: {kind}"),
    # The jury.
    "call-not-closed": Text("la convocatoria todavía no cierra", "the call is not closed yet"),
    "ranking-finalised": Text("el orden de mérito ya está hecho", "the ranking is made"),
    "already-finalised": Text("el orden de mérito ya está hecho", "the ranking is made"),
    "conflict-of-interest": Text("hay un conflicto de interés", "there is a conflict of interest"),
    "enough-reviewers": Text("ya tiene quienes la evalúen", "it has enough evaluators"),
    "not-assigned": Text("no le fue asignada", "it was not assigned to you"),
    "already-reviewed": Text("ya la evaluó", "you have reviewed it already"),
    "application-withdrawn": Text("la postulación fue retirada", "the application was withdrawn"),
    "eligibility-undecided": Text("hay postulaciones sin admitir ni rechazar", "the eligibility of some is undecided"),
    "missing-score": Text("falta el puntaje", "the score is missing"),
    "unknown-criterion": Text("no es un criterio de la convocatoria", "is not a criterion of the call"),
    "score-out-of-range": Text("el puntaje está fuera del rango", "the score is out of range"),
    "review-missing": Text("faltan evaluaciones", "reviews are missing"),
    "rate-already-recorded": Text(
        "ya hay otro tipo de cambio de ese día y fuente", "another rate of that day and source exists"
    ),
    "implausible-rate": Text("un dólar no cuesta eso: entre {min} y {max}", "no dollar costs that: {min} to {max}"),
    # Mails.
    "no-such-notification": Text("no existe ese aviso", "there is no such notification"),
    "not-failed": Text("ese aviso no ha fallado", "that notification has not failed"),
    # Receipts.
    "not-a-receipt-file": Text("no es un archivo de cargo", "is not a receipt file"),
    "not-signed-by-a-published-key": Text(
        "no lo firmó ninguna de las claves publicadas", "is not signed by any of the published keys"
    ),
    "not-about-this-command": Text("no es de la solicitud que lo acompaña", "is not about the command beside it"),
    # What a client meets.
    "bus-unreachable": Text("no hay conexión con el sistema", "the system cannot be reached"),
    "stream-full": Text("el sistema está lleno; intente más tarde", "the system is full; try later"),
    "no-such-service": Text("el servicio no está disponible", "the service is not available"),
    "service-silent": Text("el servicio no respondió a tiempo", "the service did not answer in time"),
    "database-away": Text("la base de datos no está disponible", "the database is not available"),
    "failed": Text("el servicio no pudo responder", "the service could not answer"),
}

# What a problem's detail says of the limits of a field (shared.contracts.wire).
_LIMITS = {
    "ge": Text("mínimo {limit}", "at least {limit}"),
    "gt": Text("más de {limit}", "more than {limit}"),
    "le": Text("máximo {limit}", "at most {limit}"),
    "lt": Text("menos de {limit}", "less than {limit}"),
    "min_length": Text("mínimo {limit}", "at least {limit}"),
    "max_length": Text("máximo {limit}", "at most {limit}"),
    "decimal_places": Text("máximo {limit} decimales", "at most {limit} decimals"),
    "max_digits": Text("máximo {limit} dígitos", "at most {limit} digits"),
}
_FIELDS = {
    "given": "nombres",
    "family": "apellidos",
    "document": "documento",
    "document.type": "tipo de documento",
    "document.number": "documento",
    "email": "correo",
    "phone": "teléfono",
    "meeting_id": "encuentro",
    "call_id": "convocatoria",
    "application_id": "postulación",
    "registration_id": "inscripción",
    "birth": "fecha de nacimiento",
    "region": "región",
    "sector": "sector",
    "gender": "género",
}


def text(problem: Problem, language: Literal["es", "en"] = "es") -> str:
    """A problem in words, with the field that it is about."""
    return _with_field(problem, sentence(problem.code, problem.detail, language), language)


def sentence(code: str, detail: dict[str, str | int] | None = None, language: Literal["es", "en"] = "es") -> str:
    """What a code means, without the field; `missing-document-<kind>` is one of a family."""
    detail = dict(detail or {})
    if code.startswith("missing-document-"):
        code, detail["kind"] = "missing-document", code.removeprefix("missing-document-")
    known = TEXTS.get(code)
    if known is None:
        return code
    template: str = getattr(known, language)
    told = re.sub(r"{(\w+)}", lambda named: str(detail.get(named[1], named[0])), template)
    return told + _limits(detail, language)


def _limits(detail: dict[str, str | int], language: str) -> str:
    limits = [getattr(_LIMITS[name], language).format(limit=detail[name]) for name in _LIMITS if name in detail]
    return f" ({', '.join(limits)})" if limits else ""


def _with_field(problem: Problem, words: str, language: str) -> str:
    if problem.field is None:
        return words
    field = _FIELDS.get(problem.field, problem.field) if language == "es" else problem.field
    return f"{field}: {words}"
