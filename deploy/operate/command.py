"""The operators' commands of `conecta`; `deploy/cli.py` mounts them. Results on stdout, everything else on stderr."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

from cyclopts import Parameter
from pydantic import ValidationError
from rich.console import Console

from deploy.operate.lag import measure
from deploy.operate.tables import lag_tables
from shared.settings import OperatorSettings

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, Parameter(name="--json", help="As JSON, for machines.", negative="")]


def lag(*, as_json: AsJson = False) -> None:
    """How far behind streams, consumers, journals and mails are, and which part gives no answer."""
    found = asyncio.run(measure(operator_settings()))
    if as_json:
        out.print_json(json.dumps(found.as_json()))
    else:
        for table in lag_tables(found):
            out.print(table)
    for what, why in found.away.items():
        err.print(f"[red]No responde:[/] {what} ({why})")


def operator_settings() -> OperatorSettings:
    """Where everything is; ends with exit status 2 when the environment does not say."""
    try:
        return OperatorSettings()
    except ValidationError as error:
        names = ", ".join(f"CONECTA_OPERATOR_{str(one['loc'][0]).upper()}" for one in error.errors())
        err.print(f"No se sabe dónde está el sistema: faltan o no valen {names}; o indique CONECTA_DATA.")
        sys.exit(2)
