"""Projections built from scratch: every fact once more through the subscribers' own functions, in an empty database."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from deploy.provision.migrations import migrations_of
from services.evaluation.app import SERVICE as EVALUATION
from services.notifications.app import SERVICE as NOTIFICATIONS
from shared.messaging import Heard
from shared.service import Service
from tests.faults.ground import Ground
from tests.faults.seen import Published

SCRATCH = "rebuilt"
# What comes from facts and records alone. `refused` is what the mail server said, not the stream.
PROJECTIONS = (
    "select * from evaluation.meetings order by 1",
    "select * from evaluation.registrations order by 1",
    "select * from evaluation.calls order by 1",
    "select * from evaluation.applications order by 1",
    "select person_id, version, given, family, email, language, erased from notifications.people order by 1",
    "select * from notifications.meetings order by 1",
    "select * from notifications.calls order by 1",
    "select fact_id, person_id, template, meeting_id, call_id, params from notifications.deliveries order by 1, 2, 3",
)


async def differences(ground: Ground, published: Sequence[Published], *, shuffled: bool = False) -> list[str]:
    """The projections that are not what a rebuild gives; `shuffled` delivers in any order, and much of it twice."""
    async with ground.database() as database:
        await database.execute(f"drop database if exists {SCRATCH}")
        await database.execute(f"create database {SCRATCH}")
        there = [[_plain(row) for row in await database.fetch(query)] for query in PROJECTIONS]
        sizes = [len(rows) for rows in there]
        assert all(sizes[:1]), sizes
    async with ground.database(name=SCRATCH) as scratch:
        for service in (EVALUATION, NOTIFICATIONS):
            await _empty(scratch, service.name)
            await _hear(scratch, service, _order(published, ground.rng if shuffled else None))
        rebuilt = [[_plain(row) for row in await scratch.fetch(query)] for query in PROJECTIONS]
    return [
        f"{query}: {len(one)} there, {len(other)} rebuilt, e.g. {_first(one, other)}"
        for query, one, other in zip(PROJECTIONS, there, rebuilt, strict=True)
        if one != other
    ]


async def _empty(scratch: Any, service: str) -> None:
    await scratch.execute(f"create schema {service}; set search_path to {service}")
    for migrations in migrations_of(service):
        for file in sorted(migrations.directory.glob("*.sql")):
            await scratch.execute(file.read_text().partition("-- migrate:down")[0])


async def _hear(scratch: Any, service: Service, published: Iterable[Published]) -> None:
    tables = {kind.type: (kind, handler) for kind, handler in {**service.facts, **service.records}.items()}
    async with scratch.transaction():
        for name, run in groupby(published, key=lambda one: one.type):
            if name in tables:
                heard = [Heard(one.said, one.fact_id, datetime.fromisoformat(one.at)) for one in run]
                await tables[name][1](scratch, heard)


def _order(published: Sequence[Published], rng: random.Random | None) -> list[Published]:
    if rng is None:
        return list(published)
    twice = [*published, *rng.sample(published, len(published) // 2)]
    rng.shuffle(twice)
    return twice


def _plain(row: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in row.items())


def _first(one: list[Any], other: list[Any]) -> object:
    return next(iter({*one} ^ {*other}), None)
