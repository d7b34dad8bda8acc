"""Which TCP port each server of an embedded stack listens on: the usual one, or a free one if it is taken.

What was chosen is remembered, so that a restart keeps the addresses that people have in their browsers.
"""

import errno
import json
import random
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from deploy.embedded.datadir import write_private

HOST = "127.0.0.1"
USUAL_PORTS: Mapping[str, int] = {
    "nats": 4222,
    "nats_monitoring": 8222,
    "smtp": 1025,
    "mailbox_http": 8025,
    "registration_health": 8101,
    "aid_calls_health": 8102,
    "evaluation_health": 8103,
    "notifications_health": 8104,
}
# Below what the kernel hands to outgoing connections, so that none of those takes the port before its server does.
SEARCHED = range(20000, 32000)
TRIES = 200


def choose_ports(remembered: Path, wanted: Mapping[str, int | None] = USUAL_PORTS) -> dict[str, int]:
    """A free port for each name: the remembered one, else the usual one, else any; writes them to `remembered`."""
    before = _read(remembered)
    with ExitStack() as held:  # each port stays bound until all are chosen: no two names get the same
        chosen = {name: _claim(held, [before.get(name), usual]) for name, usual in wanted.items()}
    if chosen != before:
        write_private(remembered, json.dumps(chosen, indent=2))
    return chosen


def free_port() -> int:
    """Any free port."""
    with ExitStack() as held:
        return _claim(held, [])


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with ExitStack() as held:
        return _bind(held, port)


def _read(remembered: Path) -> dict[str, int]:
    if not remembered.exists():
        return {}
    ports: dict[str, int] = json.loads(remembered.read_text(encoding="utf-8"))
    return ports


def _claim(held: ExitStack, preferred: list[int | None]) -> int:
    candidates = [port for port in preferred if port is not None]
    candidates += random.sample(SEARCHED, TRIES)
    for port in candidates:
        if _bind(held, port):
            return port
    raise RuntimeError(f"no free TCP port on {HOST} among {TRIES} tried")


def _bind(held: ExitStack, port: int) -> bool:
    listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    # As servers do: connections of a stopped server that linger in TIME_WAIT do not make its port taken.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(1)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise
    return True
