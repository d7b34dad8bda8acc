"""Aid calls: who gets a mobility aid.

Owns calls, their rules and fund, applications, awards, the reserve list. Publishes what happens to calls and
applications. Hears the order of merit. Clients ask it for calls, applications and results.
"""

from __future__ import annotations

from shared.contracts import Fact, Record
from shared.contracts.evaluation import RankingFinalised

HEARS: tuple[type[Fact], ...] = (RankingFinalised,)
RECORDS_HEARD: tuple[type[Record], ...] = ()
