from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import sql
from tests.architecture.conftest import Plant
from tests.architecture.sources import ROOT

FILE = "services/aid_calls/planted.py"


def in_planted(violations: list[str]) -> list[str]:
    return [violation for violation in violations if "planted" in violation]


def test_sql_stands_only_where_it_belongs() -> None:
    assert sql.sql_out_of_place(ROOT) == []


@pytest.mark.parametrize(
    "statement",
    [
        '"select state from aid_calls.calls"',
        'f"insert into {SCHEMA}.calls values ($1)"',
        '"""\n with due as (select 1) select * from due"""',
        '"update aid_calls.calls set state = $1"',
        '"DELETE FROM aid_calls.calls"',
        '"create table calls ()"',
        '"grant select on calls to evaluation"',
    ],
)
def test_sql_in_a_command_is_found(copy: Path, plant: Plant, statement: str) -> None:
    plant(FILE, f"SCHEMA = 'aid_calls'\nSTATEMENT = {statement}")
    [found] = in_planted(sql.sql_out_of_place(copy))
    assert found.startswith(f"{FILE}:3 has SQL: ")


def test_words_that_only_look_like_sql_are_left_alone(copy: Path, plant: Plant) -> None:
    plant(
        FILE,
        '''def f() -> str:
    """Select the best from the list."""
    return "update of the call"''',
    )
    assert in_planted(sql.sql_out_of_place(copy)) == []


def test_a_service_names_only_its_own_tables() -> None:
    assert sql.foreign_tables(ROOT) == []


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("select total from evaluation.reviews", "evaluation.reviews"),
        ("select * from aid_calls.calls c join registration.people p using (person_id)", "registration.people"),
        ("insert into calls (call_id) values ($1)", "calls"),
        ("update calls set state = 'open'", "calls"),
        ("delete from aid_calls.calls using evaluation.reviews where true", "evaluation.reviews"),
        ("with a as (select 1) select * from a, aid_calls.calls join b on true", "b"),
    ],
)
def test_a_table_of_somebody_else_is_found(copy: Path, plant: Plant, statement: str, named: str) -> None:
    plant(FILE, f'STATEMENT = "{statement}"')
    assert in_planted(sql.foreign_tables(copy)) == [f"{FILE}:2 names {named}"]


@pytest.mark.parametrize(
    "statement",
    [
        "with new (a) as materialized (select 1) select * from new join unnest($1::int[]) as u (b) on true",
        "select extract(epoch from c.closes_at) from aid_calls.calls c where a is distinct from c.b for update of c",
        "select count(*) from pg_locks",
        "insert into aid_calls.calls values (1) on conflict do update set state = excluded.state",
    ],
)
def test_what_is_no_table_is_left_alone(copy: Path, plant: Plant, statement: str) -> None:
    plant(FILE, f'STATEMENT = "{statement}"')
    assert in_planted(sql.foreign_tables(copy)) == []


def test_migrations_touch_only_their_own_schema() -> None:
    assert sql.foreign_schemas_in_migrations(ROOT) == []


def test_a_migration_that_reaches_into_another_schema_is_found(copy: Path, plant: Plant) -> None:
    plant("services/aid_calls/migrations/0009_planted.sql", "select * from evaluation.reviews;")
    plant("shared/migrations/0009_planted.sql", "-- evaluation.reviews\nalter table registration.people add x int;")
    assert in_planted(sql.foreign_schemas_in_migrations(copy)) == [
        "services/aid_calls/migrations/0009_planted.sql names evaluation",
        "shared/migrations/0009_planted.sql names registration",
    ]
