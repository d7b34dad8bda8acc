"""`conecta provision`: run provisioning and print what it found and did. `deploy/cli.py` mounts `provision_app`."""

from __future__ import annotations

import asyncio
import json
import sys

from cyclopts import App

from deploy.provision.provisioning import ProvisionError, provision
from deploy.provision.report import Report, State
from shared.settings import ProvisionSettings

provision_app = App(name="provision", help="Make and mend streams, consumers, roles, schemas and rights.")


@provision_app.default
def run(*, check: bool = False, as_json: bool = False) -> int:
    """Make and mend streams, consumers, roles, schemas and rights; the settings are in the environment (CONECTA_*).

    Exit status: 0 if everything is as it should be now, 1 if something is not, 2 if it cannot be found out.

    Parameters
    ----------
    check
        Change nothing; only tell what is missing or different.
    as_json
        Print the findings as JSON.

    """
    settings = ProvisionSettings()
    try:
        report = asyncio.run(provision(settings, check=check))
    except ProvisionError as error:
        sys.stderr.write(f"provision: {error}\n")
        return 2
    sys.stdout.write(f"{_as_json(report) if as_json else as_text(report)}\n")
    return 0 if report.ok else 1


def as_text(report: Report) -> str:
    """What is not right or was not, one a line, and how much was."""
    lines = [str(finding) for finding in report.findings if finding.state is not State.RIGHT]
    return "\n".join([*lines, f"{len(report.by(State.RIGHT))} of {len(report.findings)} were right already"])


def _as_json(report: Report) -> str:
    findings = [{"what": one.what, "state": one.state, "detail": one.detail} for one in report.findings]
    return json.dumps({"ok": report.ok, "findings": findings}, ensure_ascii=False)
