from __future__ import annotations

from datetime import timedelta

import pytest

from services.notifications import domain
from services.notifications.domain import Mail, Result, State
from tests.notifications.cast import mail


def again(result: Result) -> Mail:
    """The mail when it is due again."""
    return mail(was=result.state, attempts=result.attempts, losses=result.losses)


def test_a_temporary_refusal_is_tried_again_after_longer_and_longer_for_about_two_days() -> None:
    result = domain.answered(mail(), code=451, text="4.7.1 greylisted")
    waits = []
    while result.state is State.DEFERRED:
        assert result.due_in is not None
        waits.append(result.due_in)
        result = domain.answered(again(result), code=451, text="4.7.1 greylisted")
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=30)
    assert timedelta(days=2) < sum(waits, timedelta()) < timedelta(days=3)
    assert (result.state, result.reason, result.due_in, result.suppress) == (State.FAILED, "451", None, False)


@pytest.mark.parametrize(
    ("code", "text"),
    [(550, "no such user here"), (550, "5.1.1 unknown"), (551, "moved"), (553, "no"), (552, "5.2.2 mailbox full")],
)
def test_a_refusal_of_the_mailbox_fails_the_mail_and_suppresses_the_address(code: int, text: str) -> None:
    result = domain.answered(mail(), code=code, text=text)
    assert (result.state, result.reason, result.due_in, result.suppress) == (State.FAILED, str(code), None, True)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (554, "looks like spam"),
        (550, "5.7.1 policy"),
        (552, "5.3.4 too big"),
        (552, "5.2.3 too long"),
        (550, "5.1.8 you"),
    ],
)
def test_a_refusal_of_the_text_or_of_us_fails_the_mail_but_says_nothing_about_the_address(code: int, text: str) -> None:
    result = domain.answered(mail(), code=code, text=text)
    assert (result.state, result.reason, result.suppress) == (State.FAILED, str(code), False)


def test_a_mail_that_may_have_been_taken_is_resent_once() -> None:
    first = domain.lost(mail())
    assert (first.state, first.due_in) == (State.UNKNOWN, domain.AGAIN_SOON)
    second = domain.lost(again(first))
    assert (second.state, second.due_in) == (State.UNKNOWN, None)


def test_a_mail_that_may_have_been_taken_is_sent_when_it_is_taken_the_second_time() -> None:
    assert domain.taken(again(domain.lost(mail()))).state is State.SENT


@pytest.mark.parametrize(
    ("was", "state"),
    [
        (State.OWED, State.OWED),
        (State.SENDING, State.OWED),
        (State.DEFERRED, State.DEFERRED),
        (State.UNKNOWN, State.UNKNOWN),
    ],
)
def test_a_mail_that_was_not_tried_is_as_it_was(was: State, state: State) -> None:
    result = domain.given_back(mail(was=was, attempts=3, losses=1))
    assert (result.state, result.attempts, result.losses, result.due_in) == (state, 3, 1, timedelta(0))


def test_a_mail_to_somebody_who_was_erased_is_dropped() -> None:
    result = domain.untried(mail(address=None))
    assert result is not None
    assert (result.state, result.reason) == (State.DROPPED, "erased")


def test_a_mail_to_an_address_that_was_refused_fails_untried() -> None:
    result = domain.untried(mail(refused="550"))
    assert result is not None
    assert (result.state, result.reason) == (State.FAILED, "address-suppressed")


def test_any_other_mail_is_tried() -> None:
    assert domain.untried(mail()) is None
