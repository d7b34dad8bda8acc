"""One case: a load, a fault at a random moment of it, calm again with nobody touching it, the invariants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass
from time import monotonic

from tests.faults.ground import Ground
from tests.faults.invariants import violations
from tests.faults.season import Season

Fault = Callable[[Ground, Season], Awaitable[None]]


@dataclass(kw_only=True)
class Recorded:
    """What a case came to: seconds from the end of the fault until every service decides, and until all is calm."""

    name: str
    seed: int
    moment: int
    fault_seconds: float
    decides_after: float
    calm_after: float
    repeated: int
    receipts: int

    def line(self) -> str:
        """For the table of docs/reliability.md."""
        cells = asdict(self)
        return "| " + " | ".join(f"{one:.1f}" if isinstance(one, float) else str(one) for one in cells.values()) + " |"


RECORDED: list[Recorded] = []


async def suffer(
    ground: Ground,
    name: str,
    fault: Fault,
    *,
    seed: int,
    open_for: float = 6,
    within: float = 30,
    victims: Collection[str] | None = (),
    resent: int = 0,
    shuffled: bool = False,
) -> Recorded:
    """Go through one case; `within` is how soon all must be calm, `victims` are started again (None: whoever)."""
    ground.rng.seed(f"{seed} {name}")
    ground.spoiled = True  # until it has come through
    ground.seasons += 1
    ground.resent += resent
    season = Season(ground=ground, number=ground.seasons)
    await season.begin()
    before, receipts, repeated = ground.restarts(), len(ground.senders.receipts), ground.senders.repeated
    moment = ground.rng.randrange(10, season.expected)
    print(f"{name}: seed {seed}, at receipt {moment} of the load")  # noqa: T201 — to repeat a failure
    load = asyncio.create_task(season.load(open_for=open_for))
    reached = asyncio.create_task(ground.senders.received(receipts + moment))
    await asyncio.wait({load, reached}, return_when=asyncio.FIRST_COMPLETED)
    assert not load.done(), load
    started = monotonic()
    await fault(ground, season)
    ended = monotonic()
    decides_after = await ground.decides()
    await load
    await ground.calm()
    calm_after = monotonic() - ended
    await season.finish()
    await ground.calm()
    recorded = Recorded(
        name=name,
        seed=seed,
        moment=moment,
        fault_seconds=ended - started,
        decides_after=decides_after,
        calm_after=calm_after,
        repeated=ground.senders.repeated - repeated,
        receipts=len(ground.senders.receipts) - receipts,
    )
    RECORDED.append(recorded)
    found = await violations(ground, shuffled=shuffled)
    assert not found, "\n".join(found)
    again = {name for name, number in ground.restarts().items() if number != before[name]}
    assert victims is None or again == set(victims), again
    assert calm_after < within, f"calm after {calm_after:.1f} s"
    ground.spoiled = False
    return recorded
