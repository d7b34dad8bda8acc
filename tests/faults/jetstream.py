"""What goes wrong with streams and consumers, done as provisioning may: deleted, drifted, full."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from deploy.operate.bus import OperatorBus, operator_bus
from tests.faults.ground import Ground


@asynccontextmanager
async def as_provision(ground: Ground) -> AsyncIterator[OperatorBus]:
    """JetStream's API, as its administrator."""
    async with operator_bus(ground.operator_settings(), user="provision") as bus:
        yield bus


async def delete_stream(ground: Ground, stream: str) -> None:
    """With its consumers and all that it holds."""
    async with as_provision(ground) as bus:
        await bus.call(f"STREAM.DELETE.{stream}")


async def delete_consumer(ground: Ground, stream: str, consumer: str) -> None:
    """With what it knows of acknowledged messages."""
    async with as_provision(ground) as bus:
        await bus.call(f"CONSUMER.DELETE.{stream}.{consumer}")


async def drift_consumer(ground: Ground, stream: str, consumer: str, **changes: Any) -> None:
    """Settings changed by hand."""
    async with as_provision(ground) as bus:
        config = (await bus.call(f"CONSUMER.INFO.{stream}.{consumer}"))["config"]
        body = {"stream_name": stream, "config": {**config, **changes}, "action": "update"}
        await bus.call(f"CONSUMER.DURABLE.CREATE.{stream}.{consumer}", body)


async def fill_commands(ground: Ground, *, room: int) -> None:
    """COMMANDS may grow by so many bytes and no more."""
    async with as_provision(ground) as bus:
        info = await bus.call("STREAM.INFO.COMMANDS")
        await bus.call("STREAM.UPDATE.COMMANDS", {**info["config"], "max_bytes": info["state"]["bytes"] + room})


async def parked(ground: Ground) -> int:
    """How many messages are parked."""
    async with operator_bus(ground.operator_settings()) as bus:
        number: int = (await bus.call("STREAM.INFO.PARKED"))["state"]["messages"]
        return number


async def leader(ground: Ground, stream: str) -> str:
    """The server that leads a stream."""
    async with as_provision(ground) as bus:
        name: str = (await bus.call(f"STREAM.INFO.{stream}"))["cluster"]["leader"]
        return name
