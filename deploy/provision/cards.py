"""What each service hears, as its card (`services/<service>/__init__.py`) says, and the durable consumers that follow.

A consumer has the name of its service; there is one per stream that the service hears.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from shared.contracts import SERVICES, Fact, Record
from shared.contracts.wire import STREAM_COMMANDS, STREAM_EVENTS, STREAM_PEOPLE, STREAM_RESOLVED


@dataclass(frozen=True, slots=True)
class Card:
    """What one service hears."""

    service: str
    hears: tuple[type[Fact], ...] = ()
    records_heard: tuple[type[Record], ...] = ()

    def filters(self) -> dict[str, tuple[str, ...]]:
        """Stream to the subjects that the service's consumer there is given, in the card's order."""
        heard = {
            STREAM_COMMANDS: (f"conecta.cmd.{self.service}.>",),
            STREAM_EVENTS: tuple(fact.subjects() for fact in self.hears),
            STREAM_PEOPLE: tuple(dict.fromkeys(record.subjects() for record in self.records_heard)),
            STREAM_RESOLVED: (f"conecta.resolved.{self.service}.*",),
        }
        return {stream: subjects for stream, subjects in heard.items() if subjects}


def read_cards() -> tuple[Card, ...]:
    """The cards of all services."""
    return tuple(_card(service) for service in SERVICES)


def _card(service: str) -> Card:
    module: Any = import_module(f"services.{service}")
    return Card(service, tuple(module.HEARS), tuple(module.RECORDS_HEARD))
