"""Peru's regions under both numbering systems (they differ from 07 on): INEI's is the one in use here.

Source: INEI's ubigeo and RENIEC's department codes, ISO 3166-2:PE.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple


class Region(NamedTuple):
    """One region: INEI code, RENIEC code, ISO 3166-2 code, name, capital."""

    ubigeo: str
    reniec: str
    iso: str
    name: str
    capital: str


REGIONS: dict[str, Region] = {
    region.ubigeo: region
    for region in (
        Region("01", "01", "PE-AMA", "Amazonas", "Chachapoyas"),
        Region("02", "02", "PE-ANC", "Áncash", "Huaraz"),
        Region("03", "03", "PE-APU", "Apurímac", "Abancay"),
        Region("04", "04", "PE-ARE", "Arequipa", "Arequipa"),
        Region("05", "05", "PE-AYA", "Ayacucho", "Ayacucho"),
        Region("06", "06", "PE-CAJ", "Cajamarca", "Cajamarca"),
        Region("07", "24", "PE-CAL", "Callao", "Callao"),
        Region("08", "07", "PE-CUS", "Cusco", "Cusco"),
        Region("09", "08", "PE-HUV", "Huancavelica", "Huancavelica"),
        Region("10", "09", "PE-HUC", "Huánuco", "Huánuco"),
        Region("11", "10", "PE-ICA", "Ica", "Ica"),
        Region("12", "11", "PE-JUN", "Junín", "Huancayo"),
        Region("13", "12", "PE-LAL", "La Libertad", "Trujillo"),
        Region("14", "13", "PE-LAM", "Lambayeque", "Chiclayo"),
        Region("15", "14", "PE-LIM", "Lima", "Lima"),
        Region("16", "15", "PE-LOR", "Loreto", "Iquitos"),
        Region("17", "16", "PE-MDD", "Madre de Dios", "Puerto Maldonado"),
        Region("18", "17", "PE-MOQ", "Moquegua", "Moquegua"),
        Region("19", "18", "PE-PAS", "Pasco", "Cerro de Pasco"),
        Region("20", "19", "PE-PIU", "Piura", "Piura"),
        Region("21", "20", "PE-PUN", "Puno", "Puno"),
        Region("22", "21", "PE-SAM", "San Martín", "Moyobamba"),
        Region("23", "22", "PE-TAC", "Tacna", "Tacna"),
        Region("24", "23", "PE-TUM", "Tumbes", "Tumbes"),
        Region("25", "25", "PE-UCA", "Ucayali", "Pucallpa"),
    )
}


def folded(text: str) -> str:
    """Text without accents, case and superfluous blanks, for matching what people typed."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(plain.casefold().split())


_BY_NAME = {folded(region.name): region.ubigeo for region in REGIONS.values()}


def region_named(text: str) -> str | None:
    """The INEI code of a region by its name, however typed; None if there is none of that name."""
    return _BY_NAME.get(folded(text))
