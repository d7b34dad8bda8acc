from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.provision.secrets import SecretsMissing, ensure, read
from shared.contracts.people import Role
from shared.contracts.wire import CLIENTS, Receipt
from shared.identity import Actor, Authority, Verifier
from shared.receipts import Signer, verify

MADE = [
    *(f"nats/{user}.nk" for user in ("provision", "registration", "aid_calls", "evaluation", "notifications")),
    *(f"nats/{user}.nk" for user in ("operator", "web", "bot", "cli", "sys")),
    *(f"postgres/{role}.password" for role in ("postgres", "registration", "aid_calls", "evaluation", "notifications")),
    *(f"receipts/{name}" for name in ("web.jwk", "bot.jwk", "cli.jwk", "public.jwks")),
    *(f"identity/{name}" for name in ("private.jwk", "public.jwks")),
]


def files(directory: Path) -> dict[str, str]:
    return {str(file.relative_to(directory)): file.read_text() for file in directory.rglob("*") if file.is_file()}


def test_everything_that_is_missing_is_made_and_nothing_else(tmp_path: Path) -> None:
    ensure(tmp_path / "secrets")
    assert sorted(files(tmp_path / "secrets")) == sorted(MADE)


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    ensure(tmp_path / "secrets")
    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in (tmp_path / "secrets", *(tmp_path / "secrets").rglob("*"))
    }
    assert modes == {(True, 0o700), (False, 0o600)}


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    first, before = ensure(tmp_path), files(tmp_path)
    assert ensure(tmp_path) == first
    assert files(tmp_path) == before


def test_one_that_was_lost_is_made_anew_and_the_others_stay(tmp_path: Path) -> None:
    secrets, before = ensure(tmp_path), files(tmp_path)
    secrets.seed_file("bot").unlink()
    ensure(tmp_path)
    after = files(tmp_path)
    assert {name for name in MADE if before[name] != after[name]} == {"nats/bot.nk"}


def test_several_processes_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(ensure, [tmp_path / "secrets"] * 8))
    assert made == [made[0]] * 8
    assert sorted(files(tmp_path / "secrets")) == sorted(MADE)


def test_a_replaced_key_leaves_its_public_half_for_what_it_has_signed(tmp_path: Path) -> None:
    secrets = ensure(tmp_path)
    old = json.loads(secrets.receipts_key_file("web").read_text())["kid"]
    secrets.receipts_key_file("web").unlink()
    ensure(tmp_path)
    new = json.loads(secrets.receipts_key_file("web").read_text())["kid"]
    published = [key["kid"] for key in json.loads(secrets.receipts_keys_file.read_text())["keys"]]
    assert [kid for kid in published if kid.startswith("web-")] == [old, new]


def test_public_sets_hold_no_private_half(tmp_path: Path) -> None:
    secrets = ensure(tmp_path)
    sets = [json.loads(file.read_text())["keys"] for file in (secrets.receipts_keys_file, secrets.identity_keys_file)]
    assert [len(keys) for keys in sets] == [len(CLIENTS), 1]
    assert not [key for keys in sets for key in keys if "d" in key]


def test_receipts_and_tokens_signed_with_them_verify(tmp_path: Path) -> None:
    secrets, now, person = ensure(tmp_path), datetime.now(UTC), uuid4()
    receipt = Receipt(command_id=uuid4(), type="x", sha256="0" * 64, stream="COMMANDS", sequence=1, stored_at=now)
    for client in CLIENTS:
        signed = Signer(secrets.receipts_key_file(client)).sign(receipt)
        assert verify(signed, secrets.receipts_keys_file) == receipt
    token = Authority(secrets.identity_key_file).issue(Actor(person, frozenset({Role.OPERATOR})), now=now)
    assert Verifier(secrets.identity_keys_file).actor(token, at=now).person_id == person


def test_a_missing_one_is_named(tmp_path: Path) -> None:
    secrets = ensure(tmp_path)
    secrets.seed_file("sys").unlink()
    with pytest.raises(SecretsMissing, match=r"sys\.nk is missing"):
        read(tmp_path)
