"""`python -m deploy.embedded.mailbox --smtp-port N --http-port M --dir DIR`: runs until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from deploy.embedded.mailbox.faults import Faults
from deploy.embedded.mailbox.smtp import listen
from deploy.embedded.mailbox.store import MailStore
from deploy.embedded.mailbox.web import application

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`: uvicorn would raise them again and end us with their status."""
        yield


async def serve(*, smtp_port: int, http_port: int, directory: Path) -> None:
    """Take and show mails until a signal."""
    store, faults = MailStore(directory), Faults()
    # Lifespan and access log off: there is nothing to start, and nobody to read it.
    config = uvicorn.Config(
        application(store, faults), host=HOST, port=http_port, log_level="warning", access_log=False, lifespan="off"
    )
    web = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, web, "should_exit", True)  # noqa: FBT003 (setattr takes no names)
    async with await listen(store, faults, host=HOST, port=smtp_port):
        print(f"mailbox: {store.count()} mails; smtp {HOST}:{smtp_port}, http://{HOST}:{http_port}", flush=True)  # noqa: T201
        await web.serve()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="mailbox", description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    options = parser.parse_args()
    os.umask(0o077)  # mails are nobody else's
    asyncio.run(serve(smtp_port=options.smtp_port, http_port=options.http_port, directory=options.dir))


if __name__ == "__main__":
    main()
