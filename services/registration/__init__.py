"""Registration: people, meetings, places.

Owns people and their roles, meetings, registrations, the waitlist. Publishes what happens to meetings and
registrations, and the PEOPLE stream. Hears nobody. Clients ask it for meetings, people and counts.
"""

from __future__ import annotations

from shared.contracts import Fact, Record

HEARS: tuple[type[Fact], ...] = ()
RECORDS_HEARD: tuple[type[Record], ...] = ()
