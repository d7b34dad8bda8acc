"""Two processes of one service: two relays, of which one leads; the leader is killed and comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.embedded.ports import free_port
from deploy.embedded.probes import http_ok
from deploy.embedded.stack import Options, _service
from tests.faults.case import suffer
from tests.faults.ground import Ground
from tests.faults.season import Season


@pytest.mark.faults
@pytest.mark.parametrize("service", ["registration", "aid_calls", "evaluation"])
async def test_of_two_processes_the_leading_one_is_killed_and_comes_back(
    ground: Ground, seed: int, service: str
) -> None:
    supervisor, port = ground.stack.supervisor, free_port()
    second = f"{service}-2"
    own = {"CONECTA_INSTANCE": "2", "CONECTA_HEALTH_PORT": str(port)}
    options = Options(service_env={service: {**ground.orders.environment(service), **own}})
    program = _service(ground.stack, service, options)
    await supervisor.launch(replace(program, name=second, ready=http_ok(f"http://127.0.0.1:{port}/readyz")))

    async def kill_both_in_turn(_ground: Ground, _: Season) -> None:
        await supervisor.kill(service)
        await supervisor.wait_ready(service)
        await supervisor.kill(second)
        await supervisor.wait_ready(second)

    await suffer(ground, f"two of {service}, both killed in turn", kill_both_in_turn, seed=seed, victims={service})
    await supervisor.stop(second)
