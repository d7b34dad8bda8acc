"""What `conecta doctor` looks at: each check gives findings, each finding says what to do about it."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.embedded.probes import http_get
from deploy.operate import journals
from deploy.operate.bus import BusAway, operator_bus
from deploy.operate.journals import DatabaseAway
from deploy.operate.lag import ConsumerLag, Lag, StreamLag, WaitingLag
from deploy.operate.tables import age
from deploy.provision.secrets import BUS_USERS, DATABASE_ROLES, Secrets
from shared.contracts.wire import CLIENTS, STREAM_EVENTS, STREAM_PARKED
from shared.settings import OperatorSettings

OLD = 60.0  # seconds that a fact or a message may wait
FULL = 0.8
SKEW = 5.0  # seconds that clocks may differ
_OLDEST_NATS, _OLDEST_POSTGRES = (2, 15), (18,)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    what: str
    advice: str


def of_lag(lag: Lag) -> Iterator[Finding]:
    """What is away, late, full or parked."""
    for what, why in lag.away.items():
        yield Finding(f"No responde: {what} ({why})", _advice_for(what))
    for stream in lag.streams:
        yield from _of_stream(stream)
    for consumer in lag.consumers:
        yield from _of_consumer(consumer)
    for journal in lag.journals:
        if _older(journal, OLD):
            late = f"{journal.number} hechos sin publicar, desde hace {age(journal.oldest_seconds)}"
            advice = f"Revise si {STREAM_EVENTS} está lleno y si el servicio {journal.what} está en marcha."
            yield Finding(f"{journal.what} tiene {late}", advice)
    if lag.mails is not None and _older(lag.mails, 10 * OLD):
        late = f"{lag.mails.number} correos, desde hace {age(lag.mails.oldest_seconds)}"
        yield Finding(f"Esperan {late}", "Revise el servidor de correo (SMTP) y el servicio notifications.")


def _of_stream(stream: StreamLag) -> Iterator[Finding]:
    if stream.full is not None and stream.full >= FULL:
        yield Finding(
            f"El flujo {stream.stream} está lleno al {stream.full:.0%}",
            "Aumente CONECTA_EVENTS_MAX_BYTES o CONECTA_COMMANDS_MAX_BYTES y ejecute conecta provision.",
        )
    if stream.stream == STREAM_PARKED and stream.messages:
        yield Finding(
            f"Hay {stream.messages} mensajes apartados",
            "Véalos con conecta parked list; corregida la causa: conecta parked requeue; si no: discard.",
        )


def _of_consumer(one: ConsumerLag) -> Iterator[Finding]:
    place = f"{one.consumer} ({one.stream})"
    if not one.waiting_pulls and not one.unacknowledged:
        yield Finding(f"Nadie lee por {place}", f"Arranque el servicio {one.consumer} o revise su registro.")
    elif one.oldest_seconds is not None and one.oldest_seconds > OLD:
        late = f"{one.pending + one.unacknowledged} mensajes; el más antiguo espera {age(one.oldest_seconds)}"
        yield Finding(f"{place} va atrasado: {late}", f"Revise el registro de {one.consumer}; agregue réplicas.")


def _older(waiting: WaitingLag, seconds: float) -> bool:
    return waiting.oldest_seconds is not None and waiting.oldest_seconds > seconds


async def of_services(settings: OperatorSettings) -> list[Finding]:
    """Services that say they are not ready, or say nothing."""
    found = await asyncio.gather(*(_service(name, url) for name, url in settings.health_urls.items()))
    return [finding for finding in found if finding]


async def _service(name: str, url: str) -> Finding | None:
    try:
        status, body = await http_get(url)
    except (OSError, TimeoutError, ValueError, EOFError) as error:
        return Finding(f"{name} no responde en {url} ({str(error) or type(error).__name__})", f"Arranque {name}.")
    if status == 200:
        return None
    return Finding(f"{name} no está listo: {body.decode(errors='replace').strip()}", f"Revise el registro de {name}.")


async def of_bus(settings: OperatorSettings) -> list[Finding]:
    """What the server says of itself, where its monitoring can be reached; its clock, by its answers."""
    findings: list[Finding] = []
    if settings.nats_monitoring_url:
        try:
            status, body = await http_get(f"{settings.nats_monitoring_url}/varz")
        except (OSError, TimeoutError, ValueError, EOFError) as error:
            findings.append(
                Finding(f"La vigilancia de NATS no responde ({error})", "Revise CONECTA_OPERATOR_NATS_MONITORING_URL.")
            )
        else:
            findings += of_varz(json.loads(body)) if status == 200 else []
    try:
        async with operator_bus(settings) as bus:
            told = datetime.fromisoformat((await bus.call(f"STREAM.INFO.{STREAM_PARKED}"))["ts"])
            findings += of_clock("NATS", told)
    except BusAway:
        return findings  # told by the lag
    return findings


def of_varz(varz: dict[str, Any]) -> Iterator[Finding]:
    """Durability, room and version of a server."""
    config, stats = varz["jetstream"]["config"], varz["jetstream"]["stats"]
    if not config.get("sync_always"):
        yield Finding(
            "NATS no escribe en el disco cada mensaje aceptado (sync_interval no es always)",
            "Un corte de luz puede perder cargos ya emitidos: ponga sync_interval: always y reinicie nats-server.",
        )
    if config.get("max_storage", 0) > 0 and stats["storage"] / config["max_storage"] >= FULL:
        yield Finding(f"NATS ocupa {stats['storage'] / config['max_storage']:.0%} de su espacio", "Dele más disco.")
    yield from of_version("nats-server", varz["version"], _OLDEST_NATS)


async def of_database(settings: OperatorSettings) -> list[Finding]:
    """Its clock and its version."""
    try:
        async with journals.as_service(settings, "registration") as connection:
            clock = list(of_clock("PostgreSQL", await journals.now(connection)))
            return clock + list(of_version("PostgreSQL", await journals.version(connection), _OLDEST_POSTGRES))
    except DatabaseAway:
        return []  # told by the lag


def of_clock(whose: str, told: datetime) -> Iterator[Finding]:
    """A clock that is not this machine's."""
    skew = (told - datetime.now(UTC)).total_seconds()
    if abs(skew) > SKEW:
        yield Finding(
            f"El reloj de {whose} difiere {skew:+.0f} s del de esta máquina",
            "El reloj del bus decide qué llega tarde: sincronice los relojes (chrony o systemd-timesyncd).",
        )


def of_version(what: str, told: str, oldest: tuple[int, ...]) -> Iterator[Finding]:
    """A server that is older than what was tested."""
    numbers = tuple(
        int(part) for part in told.split(" ", maxsplit=1)[0].split("-", maxsplit=1)[0].split(".") if part.isdecimal()
    )
    if numbers < oldest:
        yield Finding(f"{what} {told} es demasiado antiguo", f"Instale {'.'.join(map(str, oldest))} o posterior.")


def of_disk(settings: OperatorSettings) -> Iterator[Finding]:
    """The file system of the data, where it is on this machine."""
    if settings.data_dir is None:
        return
    usage = shutil.disk_usage(settings.data_dir)
    if usage.used / usage.total >= 0.9:
        free = f"quedan {usage.free >> 20} MiB"
        yield Finding(f"El disco de los datos está casi lleno: {free}", "Libere espacio o amplíe el disco.")


def of_secrets(settings: OperatorSettings) -> Iterator[Finding]:
    """Keys and passwords that are missing, or that others can read."""
    places = Secrets(settings.secrets_dir)
    files = [
        *(places.seed_file(user) for user in BUS_USERS),
        *(places.password_file(role) for role in DATABASE_ROLES),
        *(places.receipts_key_file(client) for client in CLIENTS),
        places.identity_key_file,
    ]
    for file in files:
        if wrong := _wrong_with(file):
            yield Finding(f"{file.relative_to(settings.secrets_dir)} {wrong}", "Repóngala de la copia, o chmod 600.")


def _wrong_with(file: Path) -> str | None:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        return f"no se puede leer ({error.strerror})"
    return f"la pueden leer otros ({mode:o})" if mode & 0o077 else None


def _advice_for(what: str) -> str:
    if what == "bus":
        return "Arranque nats-server; revise CONECTA_OPERATOR_NATS_URLS."
    if what.startswith("schema"):
        return "Arranque PostgreSQL; revise CONECTA_OPERATOR_POSTGRES_DSN."
    if what in {"stream EVENTS", "stream PEOPLE"}:
        return "Ejecute conecta provision, y luego conecta replay con cada servicio."
    return "Ejecute conecta provision."
