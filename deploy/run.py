"""Runs one service in this process: `python -m deploy.run registration`."""

from __future__ import annotations

import importlib
import sys

from shared.contracts import SERVICES


def main(arguments: list[str]) -> None:
    """Run the service named; its configuration is in the environment."""
    if len(arguments) != 1 or arguments[0] not in SERVICES:
        sys.exit(f"which service? one of {', '.join(SERVICES)}")
    importlib.import_module(f"services.{arguments[0]}.app").main()


if __name__ == "__main__":
    main(sys.argv[1:])
