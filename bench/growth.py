"""`growth`: CPU per command with more and more stored, of itself with ten thousand. For the long run only.

What is stored before is laid down by PostgreSQL itself: applications, commands decided, the journal, both projections.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.figures import Figure, at_most, compared
from bench.ground import Ground
from bench.pipelines import Pipeline, conecta, rush

_AT_ONCE = 250_000
_OUTCOME = '{"command_id":"00000000-0000-0000-0000-000000000000","type":"t","status":"applied"}'
_FILL = f"""
    with new as materialized (
        select uuidv7() as application_id, uuidv7() as person_id, uuidv7() as fact_id, uuidv7() as delivery_id
          from generate_series(1, $2::int)
    ), applications as (
        insert into aid_calls.applications (application_id, call_id, person_id, country, region, birth, sector,
               requested, aid, project, motivation, documents, accepted_at)
        select application_id, $1, person_id, 'PE', '15', '1990-05-04', 'music', 500, 500, 'Gira',
               repeat('Motivo ', 40), '[]', now() from new
    ), commands as (
        insert into aid_calls.commands (command_id, outcome) select fact_id, '{_OUTCOME}' from new
    ), journal as (
        insert into aid_calls.journal (fact_id, type, subject, thing, version, body)
        select fact_id, 't', 's', application_id::text, 1, '{{}}' from new
    ), projected as (
        insert into evaluation.applications (application_id, version, state, call_id, person_id, region, sector, aid,
               accepted_at)
        select application_id, 1, 'submitted', $1, person_id, '15', 'music', 500, now() from new
    )
    insert into notifications.deliveries (delivery_id, fact_id, person_id, template, call_id, params, state, due_at)
    select delivery_id, fact_id, person_id, 'application-submitted', $1, '{{}}', 'sent', null from new
    """  # noqa: S608 — literals of this module


async def growth(ground: Ground, *, stored: Sequence[int], number: int, rounds: int) -> list[Figure]:
    """Costs with so many applications stored, each against those with the fewest."""
    own = await conecta(ground)
    await rush(own, number)
    costs = []
    for size in stored:
        await _fill(own, size)
        costs.append([(await rush(own, number)).cpu * 1e6 for _ in range(rounds)])
    names = [f"growth-{size // 1_000_000}m" for size in stored[1:-1]] + ["growth"]
    return [
        compared(name, cost, [median(costs[0])], unit="µs", bound=at_most(1.2))
        for name, cost in zip(names, costs[1:], strict=True)
    ]


async def _fill(pipeline: Pipeline, size: int) -> None:
    superuser = pipeline.ground.superuser
    missing = size - int(await superuser.fetchval("select count(*) from aid_calls.applications"))
    while missing > 0:
        await superuser.execute(_FILL, pipeline.call_id, min(missing, _AT_ONCE), timeout=600)
        missing -= _AT_ONCE
    for table in (
        "aid_calls.applications",
        "aid_calls.commands",
        "aid_calls.journal",
        "evaluation.applications",
        "notifications.deliveries",
    ):
        await superuser.execute(f"vacuum analyze {table}", timeout=600)
    await superuser.execute("checkpoint")
