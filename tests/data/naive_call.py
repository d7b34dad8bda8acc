"""What the rules of domain.md give for the file of a call, worked out slowly, in fractions, by pairs and by loops.

Independent on purpose: nothing of `services` or `shared` is used here. Money is counted in céntimos.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from math import floor
from typing import Any

Filed = dict[str, Any]


def rounded(value: Fraction) -> Fraction:
    """Half up, 2 decimals, of what is not negative."""
    return Fraction(floor(value * 100 + Fraction(1, 2)), 100)


def shown(value: Fraction) -> str:
    """With its 2 decimals."""
    hundredths = int(value * 100)
    return f"{hundredths // 100}.{hundredths % 100:02}"


def number(filed: object) -> Fraction:
    """A number of a file, exactly as it is written there."""
    return Fraction(str(filed))


def reasons(call: Filed, application: Filed, closing: date) -> list[str]:
    """Why an application is not eligible."""
    found = []
    if application.get("country", "PE") != "PE":
        found.append("resides-outside-peru")
    elif application["region"] == call["host_region"]:
        found.append("resides-in-host-region")
    born = date.fromisoformat(application["birth"])
    birthdays = sum(
        (year, born.month, born.day) <= (closing.year, closing.month, closing.day)
        for year in range(born.year + 1, closing.year + 1)
    )
    if birthdays < 18:
        found.append("under-18")
    return found


def total(call: Filed, scores: Filed) -> Fraction:
    """Of one review."""
    parts: list[Fraction] = [
        c["weight"] * number(scores[c["key"]]) / number(call["score_max"]) for c in call["criteria"]
    ]
    return rounded(sum(parts, Fraction(0)))


def diverging(call: Filed, totals: list[Fraction]) -> bool:
    """Whether two of the required reviews are too far apart."""
    required = totals[: call["reviews_required"]]
    return any(abs(one - other) > number(call["divergence_over"]) for one in required for other in required)


def result(call: Filed, totals: list[Fraction]) -> Fraction:
    """Mean, or median where one more review was needed."""
    if not diverging(call, totals):
        return rounded(sum(totals, Fraction(0)) / len(totals))
    values: list[Fraction] = sorted(totals)
    low, high = 0, len(values) - 1
    while high - low > 1:
        low, high = low + 1, high - 1
    return rounded((values[low] + values[high]) / 2)


def means(call: Filed, reviews: list[Filed]) -> list[Fraction]:
    """By criterion, over all reviews."""
    return [
        rounded(sum((number(one["scores"][c["key"]]) for one in reviews), Fraction(0)) / len(reviews))
        for c in call["criteria"]
    ]


def tariff(call: Filed, application: Filed) -> Fraction:
    """Fare and days."""
    return number(call["fares"][application["region"]]) + number(call["per_diem"]) * number(call["days"])


def aid(call: Filed, application: Filed) -> Fraction:
    """The smallest of three."""
    return min(number(application["requested"]), tariff(call, application), number(call["ceiling"]))


def beats(one: Filed, other: Filed) -> bool:
    """Whether one application stands before another, `came` being its place among those accepted."""
    if one["total"] != other["total"]:
        return bool(one["total"] > other["total"])
    for mine, theirs in zip(one["means"], other["means"], strict=True):
        if mine != theirs:
            return bool(mine > theirs)
    return bool(one["came"] < other["came"])


def expected(filed: Filed, *, closing: date) -> Filed:
    """Everything that an expected file of a call says."""
    call, applications = filed["call"], filed["applications"]
    ineligible = {one["ref"]: why for one in applications if (why := reasons(call, one, closing))}
    places: list[Filed] = []
    thirds: list[str] = []
    for came, one in enumerate(applications):
        if one["ref"] in ineligible:
            continue
        reviews = [review for review in filed["reviews"] if review["ref"] == one["ref"]]
        totals = [total(call, review["scores"]) for review in reviews]
        if diverging(call, totals):
            thirds.append(one["ref"])
        place = {"ref": one["ref"], "came": came, "total": result(call, totals), "means": means(call, reviews)}
        places.append({**place, "aid": aid(call, one), "region": one["region"]})
    for place in places:
        place["rank"] = 1 + sum(beats(other, place) for other in places if other is not place)
    places.sort(key=lambda place: int(place["rank"]))
    return {
        "eligible": len(places),
        "ineligible": ineligible,
        "third_reviews": thirds,
        "ranking": [
            {
                "rank": place["rank"],
                "ref": place["ref"],
                "total": shown(place["total"]),
                "criterion_means": [shown(mean) for mean in place["means"]],
            }
            for place in places
        ],
        **allocated(call, places),
    }


def allocated(call: Filed, places: list[Filed]) -> Filed:
    """Two passes down the order of merit."""
    fund = number(call["fund"])
    share = rounded(fund * call["reserved_share_percent"] / 100)
    spent, money = Fraction(0), dict[str, str]()
    good = [place for place in places if place["total"] >= number(call["minimum_total"])]
    for place in good:
        if place["region"] not in call["reserved_excluding_regions"] and spent + place["aid"] <= share:
            spent += place["aid"]
            money[place["ref"]] = "reserved"
    for place in good:
        if place["ref"] not in money and spent + place["aid"] <= fund:
            spent += place["aid"]
            money[place["ref"]] = "general"
    return {
        "awarded": [
            {"ref": place["ref"], "amount": shown(place["aid"]), "money": money[place["ref"]]}
            for place in places
            if place["ref"] in money
        ],
        "reserve": [place["ref"] for place in good if place["ref"] not in money],
        "below_minimum": [place["ref"] for place in places if place not in good],
        "total_awarded": shown(spent),
        "left": shown(fund - spent),
    }
