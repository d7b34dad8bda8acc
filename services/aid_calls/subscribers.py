"""What aid_calls does when it hears a fact."""

from __future__ import annotations

from collections.abc import Sequence

from services.aid_calls import commands
from shared.contracts import Fact
from shared.contracts.evaluation import RankingFinalised
from shared.db import Tx
from shared.messaging import Heard


async def on_ranking_finalised(tx: Tx, heard: Sequence[Heard[RankingFinalised]]) -> Sequence[Fact]:
    """The jury is done: allocate the fund."""
    return [fact for ranking in heard for fact in await commands.allocate_fund(tx, ranking.fact)]
