from __future__ import annotations

import asyncpg
import pytest

from deploy.provision.scram import matches, verifier
from tests.provision.conftest import LogIn


def test_what_is_stored_matches_its_password_and_no_other() -> None:
    stored = verifier("correct")
    assert matches(stored, "correct")
    assert not matches(stored, "wrong")


@pytest.mark.parametrize("stored", [None, "", "md5c6f8", "SCRAM-SHA-256$4096:AAAA", "SCRAM-SHA-1$1:AAAA$AAAA:AAAA"])
def test_nothing_and_other_schemes_match_no_password(stored: str | None) -> None:
    assert not matches(stored, "correct")


async def test_it_is_the_same_as_postgresql_makes(log_in: LogIn) -> None:
    superuser = await log_in("postgres")
    transaction = superuser.transaction()
    await transaction.start()
    await superuser.execute("create role made_by_postgresql password 'correct'")
    stored = await superuser.fetchval("select rolpassword from pg_authid where rolname = 'made_by_postgresql'")
    await transaction.rollback()
    assert matches(stored, "correct")
    assert not matches(stored, "wrong")


async def test_services_log_in_with_theirs_only(log_in: LogIn) -> None:
    connection = await log_in("registration")
    assert await connection.fetchval("select current_user") == "registration"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await log_in("registration", password="wrong")
