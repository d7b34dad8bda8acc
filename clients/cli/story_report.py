"""What a story came to: the figures as JSON, in the files' own references, and a table for a person to read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

from clients.cli.call_file import CallFile
from clients.cli.registrations_file import RegistrationsFile
from clients.cli.story import Story, Told
from shared.contracts.aid_calls import CallResults, CallResultsAnswer
from shared.contracts.evaluation import MeasureReport, Ranking, RankingAnswer
from shared.contracts.notifications import NotificationCounts
from shared.contracts.registration import RegistrationCounts, RegistrationCountsAnswer
from shared.contracts.status import ServiceStatusAnswer

_STAGES = {
    "meeting": "encuentro",
    "registrations": "inscripciones",
    "people": "personas",
    "applications": "postulaciones",
    "closing": "cierre",
    "reviews": "evaluaciones",
    "results": "resultados",
    "mails": "correos",
}


async def figures(story: Story, *, registrations: RegistrationsFile, call: CallFile) -> dict[str, Any]:
    """Everything that a story's `--json` holds, asked of the services."""
    results: CallResultsAnswer = await story.ask(CallResults(call_id=story.call_id))
    ranking: RankingAnswer = await story.ask(Ranking(call_id=story.call_id))
    counts: RegistrationCountsAnswer = await story.ask(RegistrationCounts(meeting_id=story.meeting_id))
    mails = await story.ask(NotificationCounts())
    report = await story.ask(MeasureReport())
    told = story.told
    refs = {key: ref for ref, key in told.applications.items()}
    return {
        "eligible": results.eligible,
        "ineligible": {
            one.ref: list(results.ineligible[told.applications[one.ref]])
            for one in call.applications
            if told.applications.get(one.ref) in results.ineligible
        },
        "third_reviews": [
            one.ref for one in call.applications if told.applications.get(one.ref) in ranking.third_reviews
        ],
        "ranking": _ranking(ranking, refs),
        "awarded": [
            {"ref": refs[award.application_id], "amount": str(award.amount), "money": award.money}
            for award in results.awarded
        ],
        "reserve": [refs[key] for key in results.reserve],
        "below_minimum": [refs[key] for key in results.not_selected],
        "total_awarded": str(results.total_awarded),
        "left": str(results.left),
        "registrations": {
            "rows": registrations.rows,
            "people": counts.people,
            "repeated_rows": len(registrations.repeated),
            "rejected_rows": len(registrations.rejected),
            "regions": len(counts.by_region),
        },
        "mails": {name: count.sent for name, count in sorted(mails.by_template.items())},
        "receipts_verified": told.receipts_verified,
        "report": report.model_dump(mode="json"),
    }


def _ranking(ranking: RankingAnswer, refs: dict[UUID, str]) -> list[dict[str, Any]]:
    return [
        {
            "rank": place.rank,
            "ref": refs[place.application_id],
            "total": str(place.total),
            "criterion_means": [str(mean) for mean in place.criterion_means],
        }
        for place in ranking.ranking
    ]


async def parked(story: Story, statuses: list[Any]) -> int:
    """How many messages stand parked, over all services."""
    answers: list[ServiceStatusAnswer] = [await story.ask(question) for question in statuses]
    # A service's parked messages are counted once for each of its consumers.
    return sum(max((consumer.parked for consumer in answer.consumers), default=0) for answer in answers)


def show(console: Console, found: dict[str, Any], told: Told) -> None:
    """The table of what happened."""
    table = Table(title="Qué pasó", show_header=False)
    usd = found["report"]["usd"]
    rows: list[tuple[str, object]] = [
        ("Filas de inscripción", found["registrations"]["rows"]),
        ("Personas inscritas", found["registrations"]["people"]),
        (
            "Filas repetidas / rechazadas",
            f"{found['registrations']['repeated_rows']} / {found['registrations']['rejected_rows']}",
        ),
        ("Regiones", found["registrations"]["regions"]),
        ("Postulaciones", len(told.applications)),
        ("Cargos de recepción (verificados)", f"{told.receipts} ({told.receipts_verified})"),
        ("Aptas / no aptas", f"{found['eligible']} / {len(found['ineligible'])}"),
        ("Evaluaciones (terceras)", f"{told.reviews} ({len(found['third_reviews'])})"),
        ("Evaluaciones de no aptas, sin usar", told.reviews_unused),
        ("Ayudas otorgadas", len(found["awarded"])),
        ("Lista de suplentes", len(found["reserve"])),
        ("Debajo del mínimo", len(found["below_minimum"])),
        ("Dinero otorgado / sin usar", f"S/ {found['total_awarded']} / S/ {found['left']}"),
        (
            "En dólares",
            f"USD {usd['amount']} (a {usd['pen_per_usd']}, {usd['date']}, {usd['source']})"
            if usd
            else "sin tipo de cambio",
        ),
        *((f"Correos: {template}", count) for template, count in found["mails"].items()),
        *((f"Segundos: {_STAGES[stage]}", seconds) for stage, seconds in told.seconds.items()),
    ]
    for name, value in rows:
        table.add_row(name, str(value))
    console.print(table)
    for key, outcome in told.rejected:
        codes = ", ".join(problem.code for problem in outcome.problems)
        console.print(f"Rechazado: {key}: {codes}")
