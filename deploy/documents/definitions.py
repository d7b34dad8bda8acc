"""The running definitions that the documents are made from: the registry of contracts, the services, their cards."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from deploy.provision.cards import Card, read_cards
from shared.contracts import COMMANDS, FACTS, QUESTIONS, RECORDS, SERVICES, Command, Fact, Question, Record
from shared.service import Service


@dataclass(frozen=True, slots=True)
class Definitions:
    """What there is: contracts by wire name, services and cards by service."""

    commands: dict[str, type[Command]]
    questions: dict[str, type[Question]]
    facts: dict[str, type[Fact]]
    records: dict[str, type[Record]]
    services: dict[str, Service]
    cards: dict[str, Card]

    def hearers(self, kind: type[Fact | Record]) -> list[str]:
        """The services that hear a fact or record, in the order of the architecture."""
        return [name for name, one in self.services.items() if kind in one.facts or kind in one.records]

    def handler(self, command: type[Command]) -> Any:
        """The function of a service's `commands.py` that carries out a command; None if there is none."""
        found = self.services[command.service].commands.get(command)
        return getattr(found, "handler", found)


def read_definitions() -> Definitions:
    """All definitions, from the modules that the processes run."""
    services = {name: _service(name) for name in SERVICES}
    return Definitions(
        commands=COMMANDS,
        questions=QUESTIONS,
        facts=FACTS,
        records=RECORDS,
        services=services,
        cards={card.service: card for card in read_cards()},
    )


def _service(name: str) -> Service:
    module: Any = import_module(f"services.{name}.app")
    service: Service = module.SERVICE
    return service
