"""The allocation of a call's fund down its order of merit, in two passes (domain.md, "Allocation"). Pure.

First pass: applicants from the regions that the reserved share is for, while that share lasts. Second pass:
everyone not yet awarded, while the whole fund lasts. An aid that does not fit is passed over, the next is tried.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from shared.contracts.aid_calls import Fund
from shared.contracts.people import half_up


@dataclass(frozen=True, slots=True)
class Candidate:
    """One application of the order of merit; `aid` is what it would be granted, in the call's currency."""

    application_id: UUID
    rank: int
    total: Decimal
    region: str | None
    aid: Decimal


@dataclass(frozen=True, slots=True)
class Granted:
    """One award, and the money that it comes from."""

    application_id: UUID
    rank: int
    amount: Decimal
    money: Fund


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who gets what: awards, reserve list and those below the minimum, each in order of merit."""

    awards: tuple[Granted, ...]
    reserve: tuple[UUID, ...]
    not_selected: tuple[UUID, ...]
    total: Decimal
    left: Decimal


def allocate(
    *,
    fund: Decimal,
    reserved_share_percent: int,
    reserved_excluding_regions: Collection[str],
    minimum_total: Decimal,
    ranked: Sequence[Candidate],
) -> Allocation:
    """Allocate the fund; the order of the input does not matter, the ranks do."""
    in_order = sorted(ranked, key=lambda candidate: candidate.rank)
    qualified = [candidate for candidate in in_order if candidate.total >= minimum_total]
    reserved_share = half_up(fund * reserved_share_percent / 100)
    favoured = [candidate for candidate in qualified if candidate.region not in reserved_excluding_regions]
    first = _pass(favoured, money="reserved", available=reserved_share)
    awarded = {award.application_id for award in first}
    others = [candidate for candidate in qualified if candidate.application_id not in awarded]
    second = _pass(others, money="general", available=fund - _sum(first))
    awards = sorted([*first, *second], key=lambda award: award.rank)
    awarded |= {award.application_id for award in second}
    return Allocation(
        awards=tuple(awards),
        reserve=tuple(one.application_id for one in qualified if one.application_id not in awarded),
        not_selected=tuple(one.application_id for one in in_order if one.total < minimum_total),
        total=_sum(awards),
        left=fund - _sum(awards),
    )


def _pass(candidates: Sequence[Candidate], *, money: Fund, available: Decimal) -> list[Granted]:
    awards = []
    for candidate in candidates:
        if candidate.aid <= available:
            available -= candidate.aid
            awards.append(Granted(candidate.application_id, candidate.rank, candidate.aid, money))
    return awards


def _sum(awards: Sequence[Granted]) -> Decimal:
    return sum((award.amount for award in awards), Decimal("0.00"))
