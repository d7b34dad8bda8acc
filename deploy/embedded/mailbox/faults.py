"""SMTP errors on demand, so that a sender can be tested against a server that misbehaves."""

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_SECONDS = 300


class Fault(BaseModel):
    """One way to misbehave.

    `4xx` and `5xx` refuse a recipient; `drop-before-data` hangs up before the mail is sent; `drop-after-data` keeps
    the mail and hangs up before saying so; `slow` answers a mail `seconds` late. `times` counts down with each
    use, without it the fault stays until it is cleared. `address_pattern` is a glob over recipients.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["4xx", "5xx", "drop-before-data", "drop-after-data", "slow"]
    address_pattern: str = Field(default="*", min_length=1, max_length=320)
    times: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=30.0, ge=0, le=MOST_SECONDS)


class Faults:
    """The faults in force, the oldest first."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put one in force, after those that are."""
        self._active.append(fault)

    def clear(self) -> None:
        """Behave again."""
        self._active.clear()

    def active(self) -> list[Fault]:
        """With the uses that are left in `times`."""
        return list(self._active)

    def take(self, kinds: tuple[str, ...], recipients: list[str]) -> Fault | None:
        """The first fault of these kinds that hits one of the recipients; counts as one use of it."""
        for index, fault in enumerate(self._active):
            if fault.kind in kinds and any(_matches(fault, recipient) for recipient in recipients):
                self._use(index, fault)
                return fault
        return None

    def _use(self, index: int, fault: Fault) -> None:
        if fault.times == 1:
            del self._active[index]
        elif fault.times is not None:
            self._active[index] = fault.model_copy(update={"times": fault.times - 1})


def _matches(fault: Fault, recipient: str) -> bool:
    return fnmatchcase(recipient.lower(), fault.address_pattern.lower())
