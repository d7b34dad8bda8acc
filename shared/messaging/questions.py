"""Questions: request and reply on core NATS, through FastStream; always an answer, if only an error code.

FastStream sends no reply when a handler raises or the payload is no good, and the caller would wait in vain
(reliability.md, rule 21): everything is caught here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from faststream.nats import NatsBroker, NatsMessage, NatsResponse
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.contracts import Question
from shared.contracts.wire import HEADER_ERROR, Problem, Sent, problems_of
from shared.db import Database, is_outage
from shared.identity import Actor, TokenRefused, Verifier
from shared.log import logger
from shared.messaging import metrics
from shared.messaging.consumer import described
from shared.messaging.decisions import QuestionHandler, QuestionRefused, QuestionTable

log = logger(__name__)

_PROBLEMS = TypeAdapter(tuple[Problem, ...])


def register(broker: NatsBroker, *, service: str, table: QuestionTable, database: Database, verifier: Verifier) -> None:
    """Answer a service's questions, shared among its replicas."""
    for question, handler in table.items():
        answer = _answering(question, handler, service=service, database=database, verifier=verifier)
        broker.subscriber(
            question.subject(),
            queue=service,
            max_workers=4,
            title=question.type,
            description=question.__doc__,
        )(answer)


def _answering(
    question: type[Question], handler: QuestionHandler, *, service: str, database: Database, verifier: Verifier
) -> Callable[[NatsMessage], Awaitable[NatsResponse]]:
    model = Sent[question]  # type: ignore[valid-type]

    async def answer(message: NatsMessage) -> NatsResponse:
        try:
            sent = model.model_validate_json(message.body)
            actor = _allowed(question, sent.actor, verifier)
            async with database.connection() as connection:
                found: BaseModel = await handler(connection, sent.data, actor)
            response = NatsResponse(found.model_dump_json().encode())
            status = "answered"
        except ValidationError as error:
            status, response = "invalid", _refusal("invalid", problems_of(error))
        except QuestionRefused as error:
            status, response = "refused", _refusal(error.code)
        except Exception as error:  # noqa: BLE001 — whoever asked gets an answer, whatever went wrong
            status = "database-away" if is_outage(error) else "failed"
            log.error("question-failed", question=question.name, error=described(error))  # noqa: TRY400 — no values
            response = _refusal(status)
        metrics.QUESTIONS.labels(service, question.name, status).inc()
        return response

    return answer


def _allowed(question: type[Question], token: str | None, verifier: Verifier) -> Actor | None:
    if question.may is None and token is None:
        return None
    try:
        actor = verifier.actor(token or "", at=datetime.now(UTC))
    except TokenRefused as error:
        raise QuestionRefused("not-allowed") from error
    if question.may is not None and not actor.is_one_of(question.may):
        raise QuestionRefused("not-allowed")
    return actor


def _refusal(code: str, problems: tuple[Problem, ...] = ()) -> NatsResponse:
    return NatsResponse(_PROBLEMS.dump_json(problems), headers={HEADER_ERROR: code})
