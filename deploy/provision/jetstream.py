"""Streams and consumers made and kept as `topology` wants them, through JetStream's own API.

Admin calls are repeated while servers come up or elect a leader; a refusal for good is told with the server's words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any

import nats.errors
from nats.aio.client import Client as Bus

from deploy.provision.report import MISSING, CannotMendError, Report, difference
from deploy.provision.topology import Config, Durable
from shared.messaging.bus import connect_options
from shared.settings import ProvisionSettings

# What the server says of a cluster that is still forming: no suitable peers, offline.
_FORMING = {10005, 10118, 10119}
_NO_STREAM, _NO_CONSUMER = 10059, 10014
_NO_ROOM = {10047, 10028}
_PAUSE = 0.25


class BusError(Exception):
    """The bus cannot be provisioned; the message says why."""


class Refused(CannotMendError):  # noqa: N818
    """JetStream's answer to a call that it will not carry out."""

    def __init__(self, error: dict[str, Any]) -> None:
        hint = "; lower CONECTA_COMMANDS_MAX_BYTES or CONECTA_EVENTS_MAX_BYTES, or give the server more disk"
        self.number = error.get("err_code", 0)
        super().__init__(f"{error.get('description')}{hint if self.number in _NO_ROOM else ''}")


class JetStream:
    """JetStream's API, as its user `provision`."""

    def __init__(self, bus: Bus, troubles: list[str], *, patience: float) -> None:
        self._bus = bus
        self._troubles = troubles
        self._patience = patience

    async def call(self, subject: str, body: Config | None = None) -> Config:
        """The answer to an API call; raises Refused, or BusError when there is none for too long."""
        deadline = monotonic() + self._patience
        payload = b"" if body is None else json.dumps(body).encode()
        while True:
            try:
                reply = await self._bus.request(f"$JS.API.{subject}", payload, timeout=min(5, self._patience))
                answer: Config = json.loads(reply.data)
                error = answer.get("error")
                if error is None:
                    return answer
                if error["code"] != 503 and error.get("err_code") not in _FORMING:
                    raise Refused(error)
                trouble = error["description"]
            except (nats.errors.Error, OSError) as failure:  # no responders, no answer, no connection
                trouble = str(failure) or type(failure).__name__
            if monotonic() > deadline:
                told = ", ".join([trouble, *self._troubles[-1:]])
                raise BusError(f"JetStream does not carry out {subject.partition('.')[0]} calls: {told}")
            await asyncio.sleep(_PAUSE)

    async def config(self, subject: str) -> Config | None:
        """What a stream or consumer is configured with; None if there is none."""
        try:
            found: Config = (await self.call(subject))["config"]
        except Refused as refusal:
            if refusal.number in {_NO_STREAM, _NO_CONSUMER}:
                return None
            raise BusError(f"{subject}: {refusal}") from refusal
        own = {key: value for key, value in found.get("metadata", {}).items() if not key.startswith("_nats.")}
        return {**found, "metadata": own}


@asynccontextmanager
async def connected(settings: ProvisionSettings, *, patience: float) -> AsyncIterator[JetStream]:
    """JetStream, once the bus answers; raises BusError."""
    bus = Bus()
    troubles: list[str] = []

    async def note(error: Exception) -> None:
        troubles.append(str(error) or type(error).__name__)

    options = connect_options(settings, user="provision") | {"reconnect_time_wait": _PAUSE, "error_cb": note}
    try:
        async with asyncio.timeout(patience):
            await bus.connect(**options, nkeys_seed_str=settings.seed())
    except (nats.errors.Error, OSError) as error:
        await bus.close()
        told = ", ".join(dict.fromkeys(filter(None, [*troubles, str(error)])))
        raise BusError(f"no connection to {settings.nats_urls}: {told or 'no answer'}") from error
    try:
        yield JetStream(bus, troubles, patience=patience)
    finally:
        await bus.close()


async def settle_streams(jetstream: JetStream, wanted: Iterable[Config], report: Report) -> None:
    """Make or mend every stream."""
    for config in wanted:
        name = config["name"]
        found = await jetstream.config(f"STREAM.INFO.{name}")
        verb = "CREATE" if found is None else "UPDATE"
        await report.settle(
            f"stream {name}",
            MISSING if found is None else difference(config, found),
            partial(jetstream.call, f"STREAM.{verb}.{name}", config),
        )


async def settle_consumers(jetstream: JetStream, wanted: Iterable[Durable], report: Report) -> None:
    """Make or mend every consumer; a new one starts at the beginning of its stream."""
    for durable in wanted:
        place = f"{durable.stream}.{durable.config['name']}"
        found = await jetstream.config(f"CONSUMER.INFO.{place}")
        await report.settle(
            f"consumer {place}",
            MISSING if found is None else difference(durable.config, _listed(found)),
            partial(
                jetstream.call,
                f"CONSUMER.CREATE.{place}",
                {"stream_name": durable.stream, "config": durable.config},
            ),
        )


def _listed(config: Config) -> Config:
    """With its filters as a sorted list, however many there are."""
    single = config.get("filter_subject")
    filters = [single] if single else config.get("filter_subjects") or []
    return {**config, "filter_subject": None, "filter_subjects": sorted(filters)}
