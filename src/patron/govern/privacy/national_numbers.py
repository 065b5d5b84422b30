"""Numbers that states, banks and card issuers give to people: their forms, and what makes one valid.

A form is looked for where no letter or digit touches it, cards also where letters touch one side. Forms of bare digits
are here only if their checks let few other numbers pass: nine digits could be a social security number and anybody's
order.
"""

import re
from collections.abc import Callable

from stdnum import ean, iban, luhn
from stdnum.au import tfn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.es import dni, nie
from stdnum.exceptions import ValidationError
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.ie import pps
from stdnum.in_ import aadhaar, pan
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.se import personnummer
from stdnum.us import ssn
from stdnum.za import idnr as id_number_za

IsValid = Callable[[str], bool]

CARD_PREFIXES = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|35(?:2[89]|[3-8])|6(?:011|2|4[4-9]|5)|30[0-5]|3[68]"
)
"""What the numbers of Visa, Mastercard, American Express, JCB, Discover, UnionPay and Diners Club begin with."""
CARD_LENGTHS = {"34": {15}, "37": {15}, "30": {14}, "36": {14}, "38": {14}, "4": {16, 19}, "5": {16}, "2": {16}}
"""Lengths by the first digits; all others have 16 to 19."""
IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
"""Characters of an IBAN by its country (the registry of SWIFT)."""


def is_card_number(text: str) -> bool:
    """Whether digits, in groups or not, are a payment card's: an issuer's prefix, its length, and the check digit."""
    digits = re.sub(r"\D", "", text)
    lengths = CARD_LENGTHS.get(digits[:2]) or CARD_LENGTHS.get(digits[:1], {16, 17, 18, 19})
    if len(digits) == 14 and digits == text:
        return False  # why: bare numbers of 14 digits are product variants of large shop systems
    return bool(CARD_PREFIXES.match(digits)) and len(digits) in lengths and luhn.is_valid(digits)


def is_iban(text: str) -> bool:
    """Whether a text begins with an IBAN, in groups or not."""
    compact = re.sub(r"[^0-9A-Z]", "", text)
    length = IBAN_LENGTHS.get(compact[:2], 0)
    return 0 < length <= len(compact) and iban.is_valid(compact[:length], check_country=False)


def is_chinese_id(text: str) -> bool:
    """Whether 18 digits hold a date of birth and the check digit; places are not compared, as districts change."""
    try:
        ric.get_birth_date(text)
    except ValidationError:
        return False
    return ric.calc_check_digit(text) == text[-1]


def is_product_number(digits: str) -> bool:
    """Whether bare digits are a GTIN (8, 12, 13 or 14 digits with its check digit), which many shops use as ids."""
    return digits.isdecimal() and len(digits) in {8, 12, 13, 14} and ean.calc_check_digit(digits[:-1]) == digits[-1]


WHOLE = r"(?<![0-9A-Z])"
END = r"(?![0-9A-Z])"
FORMS: tuple[tuple[str, str, IsValid], ...] = (
    ("card number", r"\d(?:[ -]?\d){12,18}", is_card_number),
    ("IBAN", r"[A-Z]{2}\d{2}(?:[ -]?[0-9A-Z]){11,30}", is_iban),
    ("national id CN", r"\d{17}[\dX]", is_chinese_id),
    ("national id US", r"\d{3}[- ]\d{2}[- ]\d{4}", ssn.is_valid),
    ("national id ES", r"\d{8}-?[A-Z]", dni.is_valid),
    ("national id ES, foreigners", r"[XYZ]-?\d{7}-?[A-Z]", nie.is_valid),
    ("national id IT", r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", codicefiscale.is_valid),
    ("national id FR", r"[12][ ]?\d{2}[ ]?\d{2}[ ]?(?:\d{2}|2[AB])[ ]?\d{3}[ ]?\d{3}[ ]?\d{2}", nir.is_valid),
    ("national id DE", r"\d{2} \d{3} \d{3} \d{3}", idnr.is_valid),
    (
        "national id GB",
        r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        bool,
    ),
    ("health number GB", r"\d{3} \d{3} \d{4}", nhs.is_valid),
    ("national id IN", r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", aadhaar.is_valid),
    ("tax number IN", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", pan.is_valid),
    ("tax number BR", r"\d{3}\.\d{3}\.\d{3}-\d{2}|\d{9}-\d{2}", cpf.is_valid),
    ("national id SE", r"(?:19|20)?\d{6}[-+]\d{4}", personnummer.is_valid),
    ("national id DK", r"\d{6}-\d{4}", cpr.is_valid),
    ("national id FI", r"\d{6}[-+A]\d{3}[0-9A-Z]", hetu.is_valid),
    ("national id KR", r"\d{6}-\d{7}", rrn.is_valid),
    ("national id MX", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", curp.is_valid),
    ("national id CL", r"\d{1,2}\.\d{3}\.\d{3}-[\dK]", rut.is_valid),
    ("national id CH", r"756\.?\d{4}\.?\d{4}\.?\d{2}", ahv.is_valid),
    ("national id IE", r"\d{7}[A-W][A-IW]?", pps.is_valid),
    ("national id ZA", r"\d{13}", lambda text: not is_product_number(text) and id_number_za.is_valid(text)),
    ("national id HK", r"[A-Z]{1,2}\d{6}\([0-9A]\)", bool),
)
"""What the number is, its form in capitals, and what a text of the form must also pass."""
WHOLE_FORMS: tuple[tuple[str, str, IsValid], ...] = (
    ("national id CA", r"\d{3}[ -]\d{3}[ -]\d{3}", sin.is_valid),
    ("tax number AU", r"\d{3} \d{3} \d{3}", tfn.is_valid),
)
"""Forms that are also those of a list of three prices or sizes, so that they count only when nothing else is there."""


def _compiled(form: str, *, is_whole: bool) -> re.Pattern[str]:
    return re.compile(f"^(?:{form})$" if is_whole else f"{WHOLE}(?:{form}){END}")


COMPILED = tuple(
    (kind, _compiled(form, is_whole=is_whole), check)
    for forms, is_whole in ((FORMS, False), (WHOLE_FORMS, True))
    for kind, form, check in forms
)
ANY_FORM = re.compile(f"{WHOLE}(?:{'|'.join(form for _, form, _ in (*FORMS, *WHOLE_FORMS))}){END}")
"""All forms at once: most texts have none."""
_CARD = r"\d(?:[ -]?\d){14,15}"
TOUCHED_CARD = re.compile(rf"(?<![\d.])(?:(?<![A-Z])|(?={_CARD}(?![\dA-Z]))){_CARD}(?!\d|\.\d)")
"""A card next to letters on one side at most; an id has them on both."""
BARE = frozenset({"card number", *(f"national id {country}" for country in ("CN", "FR", "CH", "ZA"))})
"""Kinds that bare digits can be."""
BARE_FORMS = tuple(one for one in COMPILED if one[0] in BARE)


def kind_of_number(text: str) -> str | None:
    """Name the first personal number in a text; None without one."""
    capitals, forms = text.upper(), BARE_FORMS if text.isdecimal() else COMPILED
    for kind, form, is_valid in forms if ANY_FORM.search(capitals) else ():
        if any(is_valid(match.group()) for match in form.finditer(capitals)):
            return kind
    return "card number" if any(is_card_number(match.group()) for match in TOUCHED_CARD.finditer(capitals)) else None
