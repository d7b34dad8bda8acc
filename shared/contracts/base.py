"""What every command, question and fact of the published language has in common.

A contract is a pydantic model with a literal wire name given in the class statement. The name never derives
from the class, and a released version never changes its meaning: `tests/contracts` keeps samples for ever.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from shared.contracts.people import Role

_TYPE = re.compile(r"pe\.conecta\.(?P<service>[a-z_]+)\.(?P<name>[a-z]+(?:-[a-z]+)*)\.v(?P<version>[1-9]\d*)")

Version = Annotated[PositiveInt, Field(description="of the thing: keep what has the highest")]

SERVICES = ("registration", "aid_calls", "evaluation", "notifications")


class Contract(BaseModel):
    """A message of the published language: immutable once read."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True, ser_json_inf_nan="null")

    type: ClassVar[str]
    service: ClassVar[str]
    name: ClassVar[str]
    contract_version: ClassVar[int]

    def __init_subclass__(cls, *, type: str | None = None, **kwargs: Any) -> None:  # noqa: A002 — CloudEvents' word
        super().__init_subclass__(**kwargs)
        if type is None:
            return
        match = _TYPE.fullmatch(type)
        if match is None or match["service"] not in SERVICES:
            msg = f"{cls.__name__}: {type!r} is not a wire name"
            raise TypeError(msg)
        cls.type = type
        cls.service, cls.name = match["service"], match["name"]
        cls.contract_version = int(match["version"])


class Command(Contract):
    """Something that a person asks a service to do. Unknown fields are refused, so that a typo is not lost.

    `may` names the roles that may send it; what a role may do with one region, call or registration is the
    service's rule.
    """

    model_config = ConfigDict(extra="forbid")

    may: ClassVar[frozenset[Role]] = frozenset()

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,  # noqa: A002
        may: frozenset[Role] | set[Role] = frozenset(),
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(type=type, **kwargs)
        if type is not None:
            cls.may = frozenset(may)
            register(COMMANDS, cls)

    @classmethod
    def subject(cls) -> str:
        """Where clients publish it."""
        return f"conecta.cmd.{cls.service}.{cls.name}"


class Answer(BaseModel):
    """What a question is answered with: fields may be added, never changed."""

    model_config = ConfigDict(frozen=True)


class Question(Contract):
    """Something that a person asks a service to tell; it changes nothing.

    `may` is None for a public question, which needs no token.
    """

    model_config = ConfigDict(extra="forbid")

    may: ClassVar[frozenset[Role] | None] = None
    answer: ClassVar[type[Answer]]

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,  # noqa: A002
        answer: type[Answer] | None = None,
        may: frozenset[Role] | set[Role] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(type=type, **kwargs)
        if answer is not None:
            cls.answer = answer
        if type is not None:
            cls.may = None if may is None else frozenset(may)
            register(QUESTIONS, cls)

    @classmethod
    def subject(cls) -> str:
        """Where clients send the request."""
        return f"conecta.qry.{cls.service}.{cls.name}"


class Fact(Contract):
    """Something that has happened, with the full public state of what changed and that thing's version.

    `about` is the field that identifies the thing (CloudEvents' subject); `within` the field that people filter
    by, usually the meeting or the call (the last token of the bus subject). No personal data, ever.
    """

    model_config = ConfigDict(extra="ignore")

    about: ClassVar[str]
    within: ClassVar[str]

    version: Version

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,  # noqa: A002
        about: str = "",
        within: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(type=type, **kwargs)
        if type is not None:
            cls.about, cls.within = about, within or about
            register(FACTS, cls)

    @classmethod
    def subjects(cls) -> str:
        """The wildcard that catches all of them."""
        return f"conecta.evt.{cls.service}.{cls.name}.*"

    def bus_subject(self) -> str:
        """Where this very fact is published."""
        return f"conecta.evt.{self.service}.{self.name}.{getattr(self, self.within)}"

    def thing(self) -> str:
        """The id of what it is about."""
        return str(getattr(self, self.about))


class Record(Contract):
    """The current public or private state of one thing, of which only the last value is kept (stream PEOPLE).

    Unlike a fact it may carry personal data, since it can be purged.
    """

    model_config = ConfigDict(extra="ignore")

    about: ClassVar[str]

    version: Version

    def __init_subclass__(cls, *, type: str | None = None, about: str = "", **kwargs: Any) -> None:  # noqa: A002
        super().__init_subclass__(type=type, **kwargs)
        if type is not None:
            cls.about = about
            register(RECORDS, cls)

    @classmethod
    def subjects(cls) -> str:
        """The wildcard that catches all of them."""
        return "conecta.people.*"

    def bus_subject(self) -> str:
        """Where the last value of this very thing stands."""
        return f"conecta.people.{getattr(self, self.about)}"

    def thing(self) -> str:
        """The id of what it is about."""
        return str(getattr(self, self.about))


T = TypeVar("T", bound=Contract)

COMMANDS: dict[str, type[Command]] = {}
QUESTIONS: dict[str, type[Question]] = {}
FACTS: dict[str, type[Fact]] = {}
RECORDS: dict[str, type[Record]] = {}


def register(registry: dict[str, type[T]], cls: type[T]) -> None:
    """Enter a contract under its wire name, once."""
    if cls.type in registry:
        msg = f"{cls.type} is the name of two contracts"
        raise TypeError(msg)
    registry[cls.type] = cls
