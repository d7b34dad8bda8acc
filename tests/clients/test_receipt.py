"""`conecta receipt verify` as anybody types it, offline, on receipts of a running system; true and tampered with."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import OKPKey
from uuid_utils.compat import uuid7

from deploy.embedded.stack import Stack
from shared import receipts
from shared.client import Accepted, connected
from shared.contracts.aid_calls import WithdrawApplication
from shared.contracts.people import Role
from shared.identity import Actor, Authority
from shared.receipts import ReceiptRefused, Signer
from tests.clients.conftest import Ended, conecta

Filed = dict[str, Any]


@pytest.fixture(scope="module")
async def accepted(stack: Stack) -> AsyncIterator[Accepted]:
    """A command that the bus has stored."""
    actor = Actor(uuid7(), frozenset({Role.PARTICIPANT}))
    token = Authority(stack.secrets.identity_key_file).issue(actor, now=datetime.now(UTC))
    async with connected(stack.client_settings(instance="receipts")) as client:
        yield await client.send(WithdrawApplication(application_id=uuid7()), actor=token)


@pytest.fixture
def file(tmp_path: Path, accepted: Accepted) -> Path:
    """Its receipt file."""
    path = tmp_path / "cargo.json"
    receipts.to_file(path, signed=accepted.signed, command=accepted.command)
    return path


async def verified(stack: Stack, file: Path, **changes: str) -> Ended:
    """What a user sees; nothing here asks a server."""
    nowhere = {"CONECTA_NATS_URLS": "nats://127.0.0.1:1"}
    return await conecta("receipt", "verify", file, data=stack.directory, **nowhere, **changes)


async def test_a_receipt_is_verified_offline_and_its_claims_told(stack: Stack, file: Path, accepted: Accepted) -> None:
    ended = await verified(stack, file)
    assert (ended.code, json.loads(ended.out)) == (0, accepted.receipt.model_dump(mode="json"))
    assert json.loads(ended.out)["sha256"] == receipts.digest(accepted.command)


def test_a_receipt_without_its_command_is_one_of_something_that_was_sent(
    stack: Stack, file: Path, accepted: Accepted
) -> None:
    file.write_text(json.dumps({"receipt": accepted.signed}))
    assert receipts.verify_file(file, stack.secrets.receipts_keys_file) == accepted.receipt


def another_claim(filed: Filed) -> None:
    """An earlier time, under the same signature."""
    head, payload, signature = filed["receipt"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["stored_at"] = "2019-10-01T18:00:00Z"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    filed["receipt"] = f"{head}.{changed}.{signature}"


def another_command(filed: Filed) -> None:
    filed["command"] = filed["command"].replace("application_id", "call_id")


def a_space_more(filed: Filed) -> None:
    filed["command"] += " "


def no_signature(filed: Filed) -> None:
    filed["receipt"] = filed["receipt"].rpartition(".")[0] + "."


def no_algorithm(filed: Filed) -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    filed["receipt"] = f"{head}.{filed['receipt'].split('.')[1]}."


def command_of_another_kind(filed: Filed) -> None:
    filed["command"] = json.loads(filed["command"])


def receipt_of_another_kind(filed: Filed) -> None:
    filed["receipt"] = [filed["receipt"]]


NOT_SIGNED, NOT_ABOUT, NO_FILE = "not-signed-by-a-published-key", "not-about-this-command", "not-a-receipt-file"


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (another_claim, NOT_SIGNED),
        (no_signature, NOT_SIGNED),
        (no_algorithm, NOT_SIGNED),
        (another_command, NOT_ABOUT),
        (a_space_more, NOT_ABOUT),
        (command_of_another_kind, NO_FILE),
        (receipt_of_another_kind, NO_FILE),
    ],
)
def test_what_was_tampered_with_is_no_receipt(
    stack: Stack, file: Path, tamper: Callable[[Filed], None], code: str
) -> None:
    filed = json.loads(file.read_text())
    tamper(filed)
    file.write_text(json.dumps(filed))
    with pytest.raises(ReceiptRefused, match=code):
        receipts.verify_file(file, stack.secrets.receipts_keys_file)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"x"', b"{}", b'{"receipt": 1}', b"[" * 100_000]
)
def test_what_is_no_receipt_file_is_none(stack: Stack, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(ReceiptRefused, match=NO_FILE):
        receipts.verify_file(file, stack.secrets.receipts_keys_file)


def test_a_receipt_that_somebody_else_signed_is_none(
    stack: Stack, file: Path, accepted: Accepted, tmp_path: Path
) -> None:
    (published, *_) = json.loads(stack.secrets.receipts_keys_file.read_text())["keys"]
    forged = OKPKey.generate_key("Ed25519", {"kid": published["kid"]}, auto_kid=False)
    (tmp_path / "key.json").write_text(json.dumps(forged.as_dict(private=True)))
    receipts.to_file(file, signed=Signer(tmp_path / "key.json").sign(accepted.receipt), command=accepted.command)
    with pytest.raises(ReceiptRefused, match=NOT_SIGNED):
        receipts.verify_file(file, stack.secrets.receipts_keys_file)


async def test_what_is_wrong_is_told_in_words(stack: Stack, file: Path, tmp_path: Path) -> None:
    filed = json.loads(file.read_text())
    files = {
        "forged.json": {**filed, "receipt": filed["receipt"][:-8]},
        "changed.json": {**filed, "command": "{}"},
        "[other].json": {"other": 1},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    found = await asyncio.gather(*(verified(stack, tmp_path / name) for name in (*files, "none.json")))
    told = (
        "no lo firmó ninguna de las claves publicadas",
        "no es de la solicitud que lo acompaña",
        "no es un archivo de cargo",
        f"no se puede leer {tmp_path / 'none.json'}: No such file or directory",
    )
    assert found == [Ended(1, "", f"No es un cargo válido: {words}\n") for words in told]


async def test_keys_that_are_not_there_are_named(stack: Stack, file: Path, tmp_path: Path) -> None:
    ended = await verified(stack, file, CONECTA_RECEIPTS_KEYS_FILE=str(tmp_path / "keys.json"))
    assert (ended.code, ended.out) == (1, "")
    assert f"no se puede leer {tmp_path / 'keys.json'}" in ended.err


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), part=st.sampled_from(["receipt", "command", "both", "bytes"]))
def test_nothing_that_a_file_holds_raises_anything_else(
    stack: Stack, accepted: Accepted, tmp_path: Path, data: st.DataObject, part: str
) -> None:
    file = tmp_path / "any.json"
    filed: Filed = {"receipt": accepted.signed, "command": accepted.command.decode()}
    for name in ("receipt", "command"):
        if part in (name, "both"):
            filed[name] = data.draw(JSON)
    content = data.draw(st.binary(max_size=60)) if part == "bytes" else json.dumps(filed).encode()
    file.write_bytes(content)
    try:
        receipts.verify_file(file, stack.secrets.receipts_keys_file)
    except ReceiptRefused:
        return
    assert filed["receipt"] == accepted.signed
    assert filed["command"] in (None, accepted.command.decode())
