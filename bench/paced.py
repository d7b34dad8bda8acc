"""`latency-*` and `cpu-500`: a steady rate; from the command's storing to the mail's being owed, committed and settled.

The moment that a mail is owed is taken from the bus: the projection acknowledges after its commit, and whoever listens
on the subject of acknowledgements hears it. The same for both pipelines, by the same clock.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from time import monotonic

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from bench.figures import Figure, at_most, compared, percentile
from bench.ground import Ground, in_own_loop, until
from bench.pipelines import Pipeline, bare_pipeline, conecta
from bench.pipes import Pipe, Wire
from shared.contracts.wire import STREAM_EVENTS

_HEARER = "notifications"
_WARM = 0.15  # of the commands: not counted


async def paced(ground: Ground, *, rate: int, seconds: float, rounds: int, cpu: bool) -> list[Figure]:
    """Latencies, or CPU, of both pipelines at a rate."""
    own = await conecta(ground)
    found: list[tuple[list[float], float]] = []
    limit: list[tuple[list[float], float]] = []
    number = int(rate * seconds)
    for _ in range(rounds):
        async with bare_pipeline(ground, "good") as good:
            limit.append(await _run(good, rate=rate, number=number))
        found.append(await _run(own, rate=rate, number=number))
    if cpu:
        ours, raw = ([one * 1e6 for _, one in side] for side in (found, limit))
        return [compared(f"cpu-{rate}", ours, raw, unit="µs", bound=at_most(1.3))]
    return [
        compared(
            f"latency-{rate}-{name}",
            [percentile(latencies, share) for latencies, _ in found],
            [percentile(latencies, share) for latencies, _ in limit],
            unit="ms",
            bound=at_most(bound),
        )
        for name, share, bound in (("p50", 0.50, 2), ("p99", 0.99, 3))
    ]


async def _run(pipeline: Pipeline, *, rate: int, number: int) -> tuple[list[float], float]:
    """Latencies in ms, and CPU seconds per command."""
    ground, messages = pipeline.ground, pipeline.messages(number)
    before = await ground.last_sequence(pipeline.events)
    owed: dict[int, int] = {}

    async def heard(message: Msg) -> None:
        tokens = message.subject.split(".")
        owed.setdefault(int(tokens[5]), time.time_ns())

    tap = await ground.bus.subscribe(f"$JS.ACK.{pipeline.events}.{_HEARER}.>", cb=heard, pending_msgs_limit=-1)
    cpu = pipeline.cpu()
    await in_own_loop(lambda: _send(ground, messages, rate=rate))
    await until(lambda: pipeline.drained(facts=before + number), seconds=120, what="the last command's mail owed")
    cpu = (pipeline.cpu() - cpu) / number
    await ground.bus.flush()
    await tap.unsubscribe()
    stored = await _stored(ground, pipeline.events, after=before)
    latencies = [(owed[place] - stored[place]) / 1e6 for place in sorted(stored) if place in owed]
    return latencies[int(len(latencies) * _WARM) :], cpu


async def _send(ground: Ground, messages: list[Wire], *, rate: int) -> None:
    """One message after another, at even distances."""
    client = await ground.connect()
    pipe = Pipe(client)
    await pipe.start()
    began = monotonic()
    for place, message in enumerate(messages):
        if (early := began + place / rate - monotonic()) > 0:
            await asyncio.sleep(early)
        await pipe.put(message)
    await pipe.settled()
    await client.close()


async def _stored(ground: Ground, stream: str, *, after: int) -> dict[int, int]:
    """When the bus had stored the command behind each fact, in ns by the fact's place."""
    last, found, place = await ground.last_sequence(stream), dict[int, int](), after
    subscription = await ground.bus.jetstream().subscribe(
        "",
        stream=stream,
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1),
        pending_msgs_limit=-1,
    )
    while place < last:
        message = await subscription.next_msg(timeout=10)
        place = message.metadata.sequence.stream
        if (instant := _instant(message.data, stream)) is not None:
            found[place] = instant
    await subscription.unsubscribe()
    return found


def _instant(data: bytes, stream: str) -> int | None:
    body = json.loads(data)
    if stream != STREAM_EVENTS:
        return int(body["stored"])
    if "accepted_at" not in body:
        return None
    return int(datetime.fromisoformat(body["accepted_at"]).timestamp() * 1e9)
