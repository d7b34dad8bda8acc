"""The published language of notifications: mails owed, sent and failed."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.aid_calls import Key
from shared.contracts.base import Answer, Command, Fact, Question
from shared.contracts.people import Role
from shared.contracts.status import CommandOutcomeAnswer, ServiceStatusAnswer

TEAM = {Role.ORGANISER, Role.OPERATOR}


class RetryNotification(Command, type="pe.conecta.notifications.retry-notification.v1", may=TEAM):
    """The team has had an address corrected: a failed notification is owed again, with the same Message-ID."""

    notification_id: UUID


class NotificationState(BaseModel):
    """The public state of a notification: to whom is an id, never an address."""

    model_config = ConfigDict(frozen=True)

    notification_id: UUID
    person_id: UUID
    template: Key
    fact_id: Annotated[UUID, Field(description="the fact that the person is told of")]


class NotificationSent(
    Fact,
    NotificationState,
    type="pe.conecta.notifications.notification-sent.v1",
    about="notification_id",
    within="template",
):
    """A mail server has taken the mail."""


class NotificationFailed(
    Fact,
    NotificationState,
    type="pe.conecta.notifications.notification-failed.v1",
    about="notification_id",
    within="template",
):
    """A mail server refused the mail for good (5xx): the address is suppressed. `reason` is the reply code."""

    reason: Annotated[str, Field(description="the mail server's reply code")]


class TemplateCount(BaseModel):
    """Notifications of one template by state; dropped are those whose person was erased before."""

    model_config = ConfigDict(frozen=True)

    owed: int = 0
    sending: int = 0
    deferred: int = 0
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    dropped: int = 0


class NotificationCountsAnswer(Answer):
    """Template to counts by state; `waiting` is what is still to be sent."""

    by_template: dict[str, TemplateCount]
    waiting: int


class NotificationCounts(
    Question,
    type="pe.conecta.notifications.notification-counts.v1",
    answer=NotificationCountsAnswer,
    may=TEAM,
):
    """How many mails are owed, sent and failed, by template?"""


class CommandOutcome(Question, type="pe.conecta.notifications.command-outcome.v1", answer=CommandOutcomeAnswer):
    """What became of a command sent to notifications? Whoever knows its id may ask."""

    command_id: UUID


class ServiceStatus(Question, type="pe.conecta.notifications.service-status.v1", answer=ServiceStatusAnswer, may=TEAM):
    """How far behind is notifications?"""
