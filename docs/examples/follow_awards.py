"""Prints every award of a call as it is made: `follow_awards.py CALL_ID [LAST_SEQUENCE]`, until Ctrl-C."""

import asyncio
import sys

from shared.client import connected
from shared.contracts.aid_calls import AidAwarded
from shared.settings import ClientSettings


async def main(call_id: str, after: int = 0) -> None:
    """Follow the awards of one call from the fact after a sequence."""
    latest: dict[str, int] = {}
    async with connected(ClientSettings()) as client:
        facts = client.follow(subject=f"conecta.evt.aid_calls.aid-awarded.{call_id}", after=after)
        async for followed in facts:
            award = followed.fact
            if isinstance(award, AidAwarded) and award.version > latest.get(award.thing(), 0):
                latest[award.thing()] = award.version
                print(followed.sequence, award.rank, award.region, award.amount, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:3])))
