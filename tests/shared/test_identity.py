from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from shared import receipts
from shared.contracts.people import Role
from shared.contracts.wire import Receipt
from shared.identity import ISSUER, Actor, Authority, TokenRefused, Verifier

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
ACTOR = Actor(uuid4(), frozenset({Role.PARTICIPANT, Role.EVALUATOR}), frozenset({"15"}))
# One key pair, and another one under the same name.
KEY, FORGED = (OKPKey.generate_key("Ed25519", {"kid": "one"}) for _ in range(2))


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "private").write_text(json.dumps(KEY.as_dict(private=True)))
    (tmp_path / "forged").write_text(json.dumps(FORGED.as_dict(private=True)))
    (tmp_path / "public").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    return tmp_path


def refusal(keys: Path, token: str, at: datetime = NOW) -> str:
    with pytest.raises(TokenRefused) as refused:
        Verifier(keys / "public").actor(token, at=at)
    return refused.value.code


def test_a_token_speaks_for_its_actor_until_it_expires(keys: Path) -> None:
    token = Authority(keys / "private").issue(ACTOR, now=NOW, lifetime=timedelta(hours=1))
    verifier = Verifier(keys / "public")
    assert verifier.actor(token, at=NOW + timedelta(minutes=59)) == ACTOR
    assert refusal(keys, token, NOW + timedelta(hours=1)) == "token-expired"
    assert refusal(keys, token, NOW - timedelta(minutes=2)) == "token-not-yet-valid"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "one"},
        {"alg": "HS256", "kid": "one"},
        {"alg": "Ed25519", "kid": "two"},
        {"alg": "Ed25519", "kid": ["one"]},
        {"alg": "Ed25519"},
        {"alg": "Ed25519", "kid": "one", "crit": ["exp"]},
        [],
    ],
)
def test_another_header_is_refused(keys: Path, header: object) -> None:
    _, payload, signature = Authority(keys / "private").issue(ACTOR, now=NOW).split(".")
    assert refusal(keys, f"{encoded(json.dumps(header))}.{payload}.{signature}") == "token-invalid"


def test_a_header_that_is_nested_too_deep_is_refused(keys: Path) -> None:
    _, payload, signature = Authority(keys / "private").issue(ACTOR, now=NOW).split(".")
    assert refusal(keys, f"{encoded('[' * 100_000)}.{payload}.{signature}") == "token-invalid"


def test_a_token_that_was_changed_or_signed_by_somebody_else_is_refused(keys: Path) -> None:
    token = Authority(keys / "private").issue(ACTOR, now=NOW)
    head, payload, signature = token.split(".")
    more = encoded(json.dumps({"iss": ISSUER, "sub": str(uuid4()), "roles": ["organiser"], "regions": []}))
    for changed in (
        "",
        "..",
        "é",
        token[:-4],
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{head}.{more}.{signature}",
        f"{token}{'A' * 60}",
        f"{token}.{signature}",
        Authority(keys / "forged").issue(ACTOR, now=NOW),
        jwt.encode({"alg": "Ed25519", "kid": "one"}, {"iss": "somebody"}, KEY, algorithms=["Ed25519"]),
    ):
        assert refusal(keys, changed) == "token-invalid"


def test_a_receipt_is_a_jws_that_others_can_verify(keys: Path) -> None:
    receipt = Receipt(command_id=uuid4(), type="t", sha256="0" * 64, stream="COMMANDS", sequence=7, stored_at=NOW)
    signed = receipts.Signer(keys / "private").sign(receipt)
    assert receipts.verify(signed, keys / "public") == receipt
    with pytest.raises(receipts.ReceiptRefused):
        receipts.verify(receipts.Signer(keys / "forged").sign(receipt), keys / "public")
