"""Value types about people and money, as they travel: normalised when read, refused with a stable code.

Rules: domain.md "People" and "Time and money".
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any

import phonenumbers
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.contracts.peru import REGIONS

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f\"(),:;<>\[\]\\]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z]{2,}")

CENTIMO = Decimal("0.01")


class Role(StrEnum):
    """What a person may act as; an organiser may be bound to regions."""

    PARTICIPANT = "participant"
    ORGANISER = "organiser"
    EVALUATOR = "evaluator"
    ACCOUNTANT = "accountant"
    OPERATOR = "operator"


class DocumentType(StrEnum):
    """Identity documents: DNI, carné de extranjería, passport."""

    DNI = "dni"
    FOREIGNER_CARD = "foreigner-card"
    PASSPORT = "passport"


class Sector(StrEnum):
    """The cultural sectors of the meetings."""

    AUDIOVISUAL = "audiovisual"
    BOOKS = "books-and-publishing"
    DESIGN = "design"
    MEDIA_ARTS = "media-arts"
    MUSIC = "music"
    PERFORMING_ARTS = "performing-arts"
    TRANSVERSAL = "transversal"
    VISUAL_ARTS = "visual-arts"


class Gender(StrEnum):
    """As people state it."""

    WOMAN = "woman"
    MAN = "man"
    OTHER = "other"
    UNDISCLOSED = "undisclosed"


class Language(StrEnum):
    """Languages in which people are written to."""

    ES = "es"
    EN = "en"
    QU = "qu"


def _region(code: str) -> str:
    if code not in REGIONS:
        raise PydanticCustomError("unknown-region", "not an INEI region code")
    return code


def _email(text: str) -> str:
    text = text.strip().lower()
    if len(text) > 254 or ".." in text or not _EMAIL.fullmatch(text):
        raise PydanticCustomError("invalid-email", "not an e-mail address")
    return text


def _phone(text: str) -> str:
    try:
        number = phonenumbers.parse(text, "PE")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise PydanticCustomError("invalid-phone", "not a telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _birth(day: date) -> date:
    if not 1900 <= day.year < 2200:
        raise PydanticCustomError("invalid-birth-date", "before 1900")
    return day


def _plausible(instant: datetime) -> datetime:
    if not 2000 <= instant.year < 2200:
        raise PydanticCustomError("invalid-instant", "outside the years 2000 to 2199")
    return instant.astimezone(UTC)


def _no_float(value: Any) -> Any:
    if isinstance(value, float):
        raise PydanticCustomError("invalid-amount", "money travels as text, never as a binary fraction")
    return value


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("invalid-character", "no NUL: PostgreSQL does not store it")
    return text


def plain(places: int) -> AfterValidator:
    """Decimals without exponent or superfluous zeros: `8.5E+2` is 850, and `0E+999999` is 0 before it can harm."""

    def written_out(value: Decimal) -> Decimal:
        exponent = min(0, max(-places, int(value.as_tuple().exponent)))
        return +value.quantize(Decimal((0, (1,), exponent)))  # plus: no negative zero

    return AfterValidator(written_out)


def half_up(value: Decimal) -> Decimal:
    """Round to 2 decimals, half up (domain.md, "Time and money")."""
    return value.quantize(CENTIMO, rounding=ROUND_HALF_UP)


# For every text that a person may have typed.
STORABLE = AfterValidator(_no_nul)

RegionCode = Annotated[
    str,
    AfterValidator(_region),
    Field(
        description="INEI two-digit code",
        examples=["08"],
        json_schema_extra={"pattern": "^(0[1-9]|1[0-9]|2[0-5])$"},
    ),
]
Email = Annotated[
    str,
    AfterValidator(_email),
    Field(examples=["rosa@example.org"], json_schema_extra={"format": "email", "maxLength": 254}),
]
Phone = Annotated[str, AfterValidator(_phone), Field(description="E.164", examples=["+51974009052"])]
BirthDate = Annotated[date, AfterValidator(_birth)]
PersonalName = Annotated[str, Field(min_length=1, max_length=120), STORABLE]
Title = Annotated[str, Field(min_length=1, max_length=200), STORABLE]
LongText = Annotated[str, Field(max_length=10_000), STORABLE]
Code = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,39}$", examples=["MOV-CUSCO-2019"])]
Money = Annotated[
    Decimal,
    Field(
        ge=0,
        max_digits=12,
        decimal_places=2,
        allow_inf_nan=False,
        examples=["850.00"],
        json_schema_extra={"x-unit": "PEN"},
    ),
    BeforeValidator(_no_float),
    plain(2),
]
PositiveMoney = Annotated[
    Decimal,
    Field(
        gt=0,
        max_digits=12,
        decimal_places=2,
        allow_inf_nan=False,
        examples=["850.00"],
        json_schema_extra={"x-unit": "PEN"},
    ),
    BeforeValidator(_no_float),
    plain(2),
]
Dollars = Annotated[
    Decimal,
    Field(ge=0, max_digits=12, decimal_places=2, allow_inf_nan=False, json_schema_extra={"x-unit": "USD"}),
    BeforeValidator(_no_float),
    plain(2),
]
Instant = Annotated[AwareDatetime, AfterValidator(_plausible), Field(description="UTC")]
Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"x-unit": "percent"})]


class Document(BaseModel):
    """An identity document. A DNI is 8 digits; one that lost its leading zeros in a spreadsheet is padded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: DocumentType = DocumentType.DNI
    number: str = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _normal(self) -> Document:
        number = re.sub(r"[\s.\-]", "", self.number).upper()
        if self.type is DocumentType.DNI:
            if not re.fullmatch(r"[0-9]{1,8}", number):
                raise PydanticCustomError("invalid-dni", "a DNI has 8 digits")
            number = number.zfill(8)
        elif not re.fullmatch(r"[A-Z0-9]{5,20}", number):
            raise PydanticCustomError("invalid-document", "letters and digits only")
        object.__setattr__(self, "number", number)
        return self


class Consent(BaseModel):
    """One purpose agreed to, with the version of the text shown and when (Law 29733)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: Annotated[str, Field(pattern=r"^[a-z-]{3,40}$")]
    text_version: Annotated[str, Field(min_length=1, max_length=40), STORABLE]
    given_at: Instant


class PersonDetails(BaseModel):
    """What is asked of a person once; the document makes two rows the same person."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    document: Document | None = None
    given: PersonalName
    family: PersonalName
    email: Email
    phone: Phone | None = None
    birth: BirthDate | None = None
    region: RegionCode | None = None
    sector: Sector | None = None
    gender: Gender | None = None
    language: Language = Language.ES
    consents: tuple[Consent, ...] = ()
