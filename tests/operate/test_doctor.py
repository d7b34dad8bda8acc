"""`conecta doctor` on real servers: silent when all is well, and for each thing that is wrong a finding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from deploy.operate import findings
from deploy.operate.bus import OperatorBus
from deploy.operate.doctor import examine
from deploy.operate.lag import ConsumerLag, Lag, StreamLag, WaitingLag
from deploy.provision import provision
from tests.servers import Installation
from tests.shared.conftest import connect


async def whats(installation: Installation, **changes: object) -> list[str]:
    found = await examine(installation.operator_settings(**changes))
    # Nobody runs services beside these servers, and other tests leave messages.
    return [one.what for one in found if not one.what.startswith(("Nadie lee", "Hay ", "aid_calls", "evaluation"))]


async def test_nothing_is_found_where_nothing_is_wrong(installation: Installation) -> None:
    assert await whats(installation) == []


async def test_a_consumer_that_nobody_reads_from_is_found(installation: Installation) -> None:
    found = await examine(installation.operator_settings())
    assert "Nadie lee por notifications (PEOPLE)" in [one.what for one in found]


async def test_a_deleted_consumer_is_found_once_by_the_lag_and_once_by_provisioning(
    installation: Installation,
) -> None:
    bus = await connect(installation.provision_settings(), "provision")
    await OperatorBus(bus).call("CONSUMER.DELETE.PEOPLE.notifications")
    await bus.close()
    assert await whats(installation) == [
        "No responde: consumer PEOPLE.notifications (missing)",
        "No es como debe: consumer PEOPLE.notifications (missing)",
    ]
    assert (await provision(installation.provision_settings())).ok


async def test_servers_that_are_away_are_found_and_the_rest_is_still_examined(
    installation: Installation,
) -> None:
    away = {"nats_urls": "nats://127.0.0.1:1", "health_urls": {"registration": "http://127.0.0.1:1/readyz"}}
    found = await whats(installation, **away)
    assert found[0].startswith("No responde: bus (")
    assert found[1].startswith("registration no responde en http://127.0.0.1:1/readyz (")
    assert found[2].startswith("No se puede revisar lo aprovisionado: ")
    assert len(found) == 3


async def test_a_key_that_others_can_read_is_found(installation: Installation) -> None:
    key = installation.secrets.seed_file("bot")
    key.chmod(0o644)
    assert await whats(installation) == ["nats/bot.nk la pueden leer otros (644)"]
    key.chmod(0o600)


def test_what_is_late_full_or_parked_is_found() -> None:
    lag = Lag(
        streams=[StreamLag("COMMANDS", 10, 81, 100, 1, 10), StreamLag("PARKED", 2, 1, 100, 1, 2)],
        consumers=[ConsumerLag("EVENTS", "evaluation", 5, 1, 0, 1, 61.0), ConsumerLag("EVENTS", "a", 5, 1, 0, 1, 59.0)],
        journals=[WaitingLag("aid_calls", 3, 61.0), WaitingLag("registration", 3, 2.0)],
        mails=WaitingLag("mails", 1, 601.0),
    )
    assert [one.what for one in findings.of_lag(lag)] == [
        "El flujo COMMANDS está lleno al 81%",
        "Hay 2 mensajes apartados",
        "evaluation (EVENTS) va atrasado: 6 mensajes; el más antiguo espera 1 min 1 s",
        "aid_calls tiene 3 hechos sin publicar, desde hace 1 min 1 s",
        "Esperan 1 correos, desde hace 10 min 1 s",
    ]


def test_clocks_versions_and_durability_are_looked_at() -> None:
    now = datetime.now(UTC)
    [ahead] = findings.of_clock("NATS", now + timedelta(seconds=60))
    assert ahead.what.startswith("El reloj de NATS difiere +")
    assert list(findings.of_clock("NATS", now)) == []
    varz = {"version": "2.14.5", "jetstream": {"config": {"max_storage": 100}, "stats": {"storage": 90}}}
    assert len(list(findings.of_varz(varz))) == 3
    well = {"version": "2.15.1", "jetstream": {"config": {"sync_always": True}, "stats": {"storage": 90}}}
    assert list(findings.of_varz(well)) == []
    assert list(findings.of_version("PostgreSQL", "18.0 (Debian 18.0-1)", (18,))) == []
