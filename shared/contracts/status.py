"""What every service answers about itself: the outcome of a command, and how far behind it is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from shared.contracts.base import Answer
from shared.contracts.wire import Outcome


class CommandOutcomeAnswer(Answer):
    """The outcome if the command is decided, None if the service has not decided it (yet)."""

    outcome: Outcome | None


class ConsumerStatus(BaseModel):
    """How far one durable consumer is behind its stream, in messages."""

    model_config = ConfigDict(frozen=True)

    stream: str
    consumer: str
    pending: int
    unacknowledged: int
    redelivered: int
    parked: int


class ServiceStatusAnswer(Answer):
    """How far a service is behind: facts not yet published, and its consumers."""

    service: str
    unpublished: int
    consumers: tuple[ConsumerStatus, ...]

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be published or heard."""
        return not self.unpublished and not any(c.pending or c.unacknowledged for c in self.consumers)
