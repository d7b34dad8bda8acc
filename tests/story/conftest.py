"""The sample files, and what they must come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clients.cli.call_file import CallFile, read_call_file
from clients.cli.registrations_file import RegistrationsFile, read_registrations

DATA = Path(__file__).parents[1] / "data"
REGISTRATIONS = DATA / "inscripciones-conecta-festivales-2019.csv"
CALL = DATA / "movilidad-cusco-2019.json"

# One mail per person, fact and template: worked out from the files by hand, not by our code.
MAILS = {
    "aid-awarded": 21,
    "aid-reserved": 7,
    "application-not-selected": 28,
    "application-ruled-eligible": 56,
    "application-ruled-ineligible": 4,
    "application-submitted": 60,
    "evaluator-assigned": 9,
    "registration-confirmed": 174,
}


@pytest.fixture(scope="session")
def people() -> RegistrationsFile:
    return read_registrations(REGISTRATIONS)


@pytest.fixture(scope="session")
def call() -> CallFile:
    return read_call_file(CALL)


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((DATA / "movilidad-cusco-2019.expected.json").read_text())
    figures["registrations"] = json.loads((DATA / "inscripciones.expected.json").read_text())
    figures["mails"] = MAILS
    figures["receipts_verified"] = 60
    return figures
