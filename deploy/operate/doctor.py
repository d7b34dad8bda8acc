"""What is wrong with the whole system, and what to do about it: all checks at once, each on its own."""

from __future__ import annotations

import asyncio

from deploy.operate import findings
from deploy.operate.findings import Finding
from deploy.operate.lag import measure
from deploy.provision import ProvisionError, State, provision
from deploy.provision.secrets import Secrets
from shared.settings import OperatorSettings, ProvisionSettings


async def examine(settings: OperatorSettings) -> list[Finding]:
    """Everything that is wrong, the servers first; nothing when all is well."""
    lag, services, bus, database, drift = await asyncio.gather(
        measure(settings),
        findings.of_services(settings),
        findings.of_bus(settings),
        findings.of_database(settings),
        _drift(settings),
    )
    rest = [*findings.of_secrets(settings), *findings.of_disk(settings)]
    return list(dict.fromkeys([*findings.of_lag(lag), *services, *bus, *database, *drift, *rest]))


async def _drift(settings: OperatorSettings) -> list[Finding]:
    """What provisioning would make or mend."""
    places = Secrets(settings.secrets_dir)
    own = ProvisionSettings(
        nats_urls=settings.nats_urls,
        nats_seed_file=places.seed_file("provision"),
        postgres_dsn=settings.postgres_dsn,
        postgres_password_file=places.password_file("postgres"),
        secrets_dir=settings.secrets_dir,
        replicas=settings.replicas,
        commands_max_bytes=settings.commands_max_bytes,
        events_max_bytes=settings.events_max_bytes,
    )
    try:
        report = await provision(own, check=True, patience=5)
    except (ProvisionError, OSError) as error:
        return [Finding(f"No se puede revisar lo aprovisionado: {error}", "Resuelva primero lo demás.")]
    wrong = [one for one in report.findings if one.state in {State.DRIFT, State.STUCK}]
    return [Finding(f"No es como debe: {one.what} ({one.detail})", "Ejecute conecta provision.") for one in wrong]
