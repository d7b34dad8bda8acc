"""docs/asyncapi.json: the whole published language as AsyncAPI 3.0, from the running definitions.

FastStream's own generator sees neither commands and facts that are read in batches, nor receipts, outcomes, headers.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from deploy.documents.channels import channels, operations
from deploy.documents.components import components
from deploy.documents.definitions import Definitions
from deploy.provision.topology import streams
from shared.contracts.wire import SHAPE_CODES
from shared.settings import ProvisionSettings

Schema = dict[str, Any]

# The size of disks and clusters is each installation's own.
_LOCAL = {"max_bytes", "num_replicas"}


def document(definitions: Definitions, *, samples: Path) -> Schema:
    """The document, in a stable order."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:pe:conecta",
        "info": _info(definitions),
        "defaultContentType": "application/json",
        "servers": {"bus": _SERVER},
        "channels": channels(definitions),
        "operations": operations(definitions),
        "components": components(definitions, samples)
        | {"securitySchemes": {"nkey": {"type": "asymmetricEncryption", "description": _SECURITY}}},
        "x-conecta-streams": {one["name"]: _stream(one) for one in streams(ProvisionSettings.model_construct())},
        "x-conecta-shape-codes": sorted(SHAPE_CODES),
    }


_SECURITY = (
    "Each kind of client and each service has an nkey of its own, and an account or permissions with exactly the "
    "subjects that it needs. That says which program speaks; for which person, the actor's token in the body says."
)

_SERVER: Schema = {
    "host": "{address}",
    "protocol": "nats",
    "description": "A NATS server, or a cluster, with JetStream.",
    "variables": {
        "address": {
            "default": "localhost:4222",
            "description": "host and port; `conecta up` prints those of an embedded bus",
        }
    },
    "security": [{"$ref": "#/components/securitySchemes/nkey"}],
}

_ABOUT = """\
The published language of Conecta, the meetings of cultural entrepreneurs: what clients may ask of its four services, \
what the services tell, and how both travel.

Commands are stored before anybody carries them out; the receipt of a command is its acceptance, its outcome comes \
later. Facts say what has happened, carry no personal data, and are kept. Questions are answered at once.

Operations are those of the services: `receive` is what clients send. A command or question travels as \
`{"data": …, "actor": …}`, where `actor` is the token of the person who sends it. Amounts are decimal text, instants \
are UTC, ids are UUIDs. Versions only grow: `.v1` gets new optional fields and nothing else; readers of facts and \
answers ignore fields that they do not know.\
"""


def _info(definitions: Definitions) -> Schema:
    return {
        "title": "Conecta",
        "version": "1.0.0",
        "description": _ABOUT,
        "license": {"name": "AGPL-3.0-or-later", "url": "https://www.gnu.org/licenses/agpl-3.0.html"},
        "tags": [
            *({"name": service, "description": "a service"} for service in definitions.services),
            {"name": "bus", "description": "NATS itself"},
            {"name": "operator", "description": "whoever runs the system"},
        ],
    }


def _stream(config: dict[str, Any]) -> Schema:
    """A stream's configuration, with spans of time in ISO 8601 and without what every installation sets itself."""
    spans = {"max_age", "duplicate_window"}
    kept = {key: value for key, value in config.items() if key not in _LOCAL and value not in (-1, False)}
    return {key: _span(value) if key in spans else value for key, value in kept.items() if value or key not in spans}


def _span(nanoseconds: int) -> str:
    span = timedelta(microseconds=nanoseconds // 1000)
    return f"P{span.days}D" if span.days else f"PT{span.seconds // 3600}H"
