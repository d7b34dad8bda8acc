"""`end-to-end`, `end-to-end-over-naive`, `cpu-rush`: a backlog of applications, from release to the last projection."""

from __future__ import annotations

from bench.figures import Figure, at_least, at_most, compared
from bench.ground import Ground
from bench.pipelines import Rush, bare_pipeline, conecta, rush

NAIVE_SHARE = 20  # the naive form gets one in so many


async def rushes(ground: Ground, *, number: int, rounds: int, naive: bool = True, suffix: str = "") -> list[Figure]:
    """Ours and the bare pipeline in turns, then the naive form."""
    own = await conecta(ground)
    await rush(own, number // 4)  # warm: statements prepared, plans cached
    found: list[Rush] = []
    limit: list[Rush] = []
    for _ in range(rounds):
        async with bare_pipeline(ground, "good") as good:
            await rush(good, number // 8)
            limit.append(await rush(good, number))
        found.append(await rush(own, number))
    figures = [
        compared(
            f"end-to-end{suffix}",
            [one.rate for one in found],
            [one.rate for one in limit],
            unit="1/s",
            bound=at_least(0.70),
        ),
        compared(
            f"cpu-rush{suffix}",
            [one.cpu * 1e6 for one in found],
            [one.cpu * 1e6 for one in limit],
            unit="µs",
            bound=at_most(1.5),
        ),
    ]
    if naive:
        async with bare_pipeline(ground, "naive") as form:
            one_by_one = await rush(form, max(200, number // NAIVE_SHARE))
        figures.insert(
            1,
            compared(
                f"end-to-end-over-naive{suffix}",
                [one.rate for one in found],
                [one_by_one.rate],
                unit="1/s",
                bound=at_least(5),
            ),
        )
    return figures
