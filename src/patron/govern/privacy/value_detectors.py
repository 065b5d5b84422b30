"""Personal data recognised by its form: what a value may not look like to stay in clear, whatever its key.

Addresses, phone numbers, numbers of cards, accounts and states, dates of birth, networks, places. What has no form,
above all names and words, cannot be recognised: that is why values stay in clear only under keys declared plain.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import unquote

DIGIT = "[0-9\uff10-\uff19\u0660-\u0669\u06f0-\u06f9\u0966-\u096f]"
"""Digits of Latin, full-width, Arabic, Persian and Indian numbers."""
_DASHES = "\u2010-\u2015"
_FIRST_MONTHS = "jan|feb|mar|apr|may|mai|jun|jul|aug|sep|okt|oct|nov|dec|dez"
"""Months that are written before a day, too."""
_MONTHS = f"{_FIRST_MONTHS}|f[eé]v|avr|abr|mag|mär|jui|giu|lug|ago|aou|aoû|set|ott|out|déc|dic|ene|gen"
_DAY_MARK = "(?:st|nd|rd|th|er|o)?"
_SPACE = r"\s\x0b\x1c-\x1f"
"""Spaces within brackets: what `\\s` is for Python's `re` and not for RE2 is named; beyond ASCII see below."""
SUSPECT = "|".join(
    (
        "[@\uff20\ufe6b]|%[0-9A-Fa-f]{2}|°|<<|::|geo:",
        rf"(?:{DIGIT}(?:[-{_DASHES} ./()_\t\r\n]|\\[trn]){{0,3}}){{6}}{DIGIT}",
        rf"{DIGIT}{{1,4}}(?:[-./_\t\r\n ]|\\[trn]){{1,3}}{DIGIT}{{1,2}}(?:[-./_\t\r\n ]|\\[trn]){{1,3}}{DIGIT}{{2,4}}",
        rf"[0-9]{_DAY_MARK}\.?(?:[{_SPACE}]|\\[trn])*(?:de[{_SPACE}]+)?(?i:{_MONTHS})",
        rf"(?i:{_FIRST_MONTHS})[a-z]{{0,12}}\.?(?:[{_SPACE}]|\\[trn])*[0-9]",
        r"(?:[0-9]{1,3}\.){3}[0-9]|[0-9]\.[0-9]{3}",
        "(?i:[0-9a-f]{1,4}[:-][0-9a-f]{1,4}[:-][0-9a-f]{1,4}[:-])",
        rf"[?&][^={_SPACE}]{{1,40}}=",
        r"(?i:[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d])",
        r"(?i:[a-z]{4,6}[0-9]{2,6}[a-z]|[0-9]{6}[-+a][0-9]{3}|[a-z][0-9]{6}\()",
        "(?i:pass|护照|護照)",
    )
)
_SUSPECT = re.compile(SUSPECT)
SUSPECT += r"|[^\x00-\x7f](?s:.*)\pN|\pN(?s:.*)[^\x00-\x7f]"
"""Pattern of every value that the detectors have to look at; few ordinary ones match. As RE2 and DuckDB write it.

Whatever is not ASCII and has a number of any script is among them: that part Python's `re` cannot write.
"""

MAX_LENGTH = 10_000
"""Longer values are texts that somebody wrote, and count as personal."""
LAST_BIRTH_YEAR = 2012
"""A date after it is a campaign's or a delivery's rather than a customer's birthday."""
_WORDS = r"[A-Za-z &>',#_|-]*(?:[0-9]{1,3}[A-Za-z &>',_|-]*)?"
"""Words, with at most one short number."""
_NUMBERS = "[0-9]{1,9}|[1-9][0-9]{9}|(?:1[0-2]|[2-9][0-9])[0-9]{9}|[1-9](?:[0-9]{11}|[0-9]{13})"
"""Bare digits that have no form that is known."""
_HEX = "[0-9a-fA-F]"
_UUID = f"{_HEX}{{8}}(?:-?{_HEX}{{4}}){{3}}-?{_HEX}{{12}}"
_RANDOM = f"(?:[a-z]{{1,12}}[-_])?(?:{_UUID}|{_HEX}{{32,128}})(?:[-_][a-z]{{1,12}})?"
"""Ids that nobody chose: UUIDs, hashes, tokens of the vault, with a word before or after them."""
HARMLESS = rf"\A(?:{_RANDOM}|{_WORDS}|{_NUMBERS})\z"
"""Pattern of what most values are. As RE2 writes it."""
_HARMLESS = re.compile(f"{_RANDOM}|{_WORDS}|{_NUMBERS}")
_EMAIL = re.compile(r"[^\s@]@[^\s@]*[^\s@.]\.(?!(?:png|jpe?g|gif|webp|avif|svg)\b)[^\W\d_]{2}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z+.-]{0,19}[0-9]?://[!#-+\--:=?-{}~]+")
"""A web address, up to a space, a sign that ends one, or a letter that no address has."""
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[_\u00b7\u30fb\u2022\u2219\u22c5](?=\d)")
_SPACES = re.compile(r"\s+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_INTERNATIONAL = re.compile(r"(?<![\d.])\+ ?\(?[1-9](?:[ ().\-/]{0,2}\d){7,14}(?!\d)")
_EXIT_CODE = re.compile(
    r"(?<![A-Za-z0-9.,])00[1-9]\d(?:\d{9,12}|(?=[\d().\-/]*[ ])(?:[ ().\-/]{0,2}\d){6,12})(?![A-Za-z0-9])"
)
_TRUNK = re.compile(r"(?<![A-Za-z0-9.,/-])\(?0[1-9](?:[ ().\-/]{0,2}\d){7,10}(?![A-Za-z0-9/]|[.-]\d)")
_NATIONAL = re.compile(
    r"(?<![A-Za-z0-9.])(?:"
    r"(?:1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([ .-]))\d{3}(?(1)\1|[ .-])\d{4}"  # North America
    r"|[6-9]\d{4}[ -]\d{5}"  # India
    r"|\(\d{2,4}\) ?9?\d{3,4}[- ]\d{4}"  # Brazil, Japan
    r"|[679]\d{2} \d{2} \d{2} \d{2}"  # Spain
    r")(?![A-Za-z0-9]|[.-]\d)"
)
_MOBILE_OF_CHINA = re.compile(
    # why: what touches it is a word in Chinese; an id has letters on both sides
    r"(?<![\d.])(?:(?<![A-Za-z])|(?=\d{11}(?![A-Za-z])))1[3-9]\d(?:\d{8}|([ -])\d{4}\1\d{4})(?!\d|\.\d)"
)
_DATE = re.compile(
    r"(?<!\d)(\d{1,2})[-./ ](\d{1,2})[-./ ](\d{4})(?!\d)|(?<!\d)(\d{4})[-./年 ](\d{1,2})[-./月 ](\d{1,2})日?(?!\d)"
)
_DAY = rf"\d{{1,2}}{_DAY_MARK}"
_WORDED_DATE = re.compile(
    rf"(?i){_DAY}\.? ?(?:de )?(?:{_MONTHS})[^\W\d_]*\.?,? (?:de )?(\d{{4}})"
    rf"|(?:{_FIRST_MONTHS})[a-z]*\.? {_DAY},? (\d{{4}})"
)
_YEAR = re.compile(r"19\d\d|20\d\d")
"""Without a year in it, no text is searched for dates of birth."""
_TIME_OF_DAY = re.compile(r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?$")
_BIRTH = re.compile(r"(?i)\b(?:born|birth\w*|b-?day|dob|geb\w*|n[ée]e?|nacid\w*|nasc\w*|nato|nata)\b|生日|出生|生年")
_IPV4 = re.compile(
    r"(?<![A-Za-z0-9.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![A-Za-z0-9.]*\d)"
)
_IPV6 = re.compile(r"(?<![A-Za-z0-9:.])[0-9a-fA-F:]{2,39}(?![A-Za-z0-9:])")
_MAC = re.compile(r"(?i)(?<![a-z0-9:-])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![a-z0-9:-])")
_COORDINATES = re.compile(
    r"(?<![A-Za-z0-9.])-?\d{1,2}\.\d{3,}[\s,;/NSns°]{1,6}-?1?\d{1,2}\.\d{3,}(?![A-Za-z0-9.]*\d)|\d{1,3}°\s?\d{1,2}['\u2032\u2019]|geo:-?\d"
)
_ADDRESS_QUERY = re.compile(r"(?:^|[?&])[^=\s&]{1,40}=(?![\d.,x]*(?:&|#|$))")
_PASSPORT = re.compile(
    r"(?i)(?:pass(?:port|eport|aporte)?|reisepass|护照|護照)[^0-9a-z]{0,3}(?:n[or°]\w*|nummer|number|号码?)?\W{0,3}[a-z]{0,2}\d{6,9}\b"
)
_MACHINE_READABLE = re.compile(r"[PIAC][<A-Z0-9][A-Z<]{3}[A-Z<]{5,39}<<|<[A-Z]{1,30}<<")
_TEN_DIGITS = 10


def personal_kind(text: str) -> str | None:
    """Name what personal data a value in clear would give away; None for one that may stay."""
    if is_harmless(text):
        return None
    if len(text) > MAX_LENGTH:
        return "long text"
    return _kind(text) if _is_suspect(text) else None


def is_harmless(text: str) -> bool:
    """Whether a value is an id that nobody chose, a number of no known form, or words with at most one short number."""
    return len(text) <= MAX_LENGTH and bool(_HARMLESS.fullmatch(text))


def _is_suspect(text: str) -> bool:
    if _SUSPECT.search(text):
        return True
    return not text.isascii() and any(unicodedata.category(character).startswith("N") for character in text)


@lru_cache(maxsize=50_000)
def _kind(text: str) -> str | None:
    """Look at the addresses in a text one by one, and at the rest as one text."""
    text = _plain_form(text)
    if "://" in text:
        if _EMAIL.search(text):
            return "e-mail address"
        if kind := next(filter(None, map(_kind_of_address, _ADDRESS.findall(text))), None):
            return kind
        text = _ADDRESS.sub(" ", text).strip()
    if text.isdecimal() and not _can_be_personal(text):
        return None
    return next((kind for kind, is_in in _DETECTORS if is_in(text)), None) or _kind_of_number(text)


def _can_be_personal(digits: str) -> bool:
    """Whether bare digits have a form that is known: too many ids have 7 to 12, and 14, with any beginning."""
    if digits.startswith("0"):
        return len(digits) >= _TEN_DIGITS
    is_mobile_of_china = len(digits) == _TEN_DIGITS + 1 and "13" <= digits[:2] <= "19"
    return is_mobile_of_china or len(digits) in {13, 15, 16, 17, 18, 19}


def _plain_form(text: str) -> str:
    """Write digits, signs and spaces of any script, or of an address, the plain way."""
    if "%" in text:
        text = unquote(text)
    if not text.isascii():
        text = _NOT_ASCII.sub(lambda match: _plain_character(match.group()), unicodedata.normalize("NFKC", text))
    return _BETWEEN_DIGITS.sub(" ", _SPACES.sub(" ", text)).strip()


@lru_cache(maxsize=5_000)
def _plain_character(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.digit(character))
    if "\u2010" <= character <= "\u2015" or character == "\u2212":
        return "-"
    # why: nobody sees marks of format, such as a space of no width
    return "" if unicodedata.category(character) == "Cf" else character


def _kind_of_address(address: str) -> str | None:
    """Kind of a web address: who is in it, or what somebody looked for; numbers in its path are the shop's own."""
    host = address.partition("://")[2].partition("/")[0]
    if "@" in host:
        return "user of an address"
    query = address.partition("?")[2]
    return "query of an address" if query and _ADDRESS_QUERY.search(query) else None


def _kind_of_number(text: str) -> str | None:
    if not any(character.isdigit() for character in text):
        return None
    from patron.govern.privacy.national_numbers import kind_of_number  # noqa: PLC0415 - its tables load when they are needed

    return kind_of_number(text)


def _has_exit_code(text: str) -> bool:
    """Whether a number with an exit code is in a text; the codes of American products begin alike."""
    from patron.govern.privacy.national_numbers import is_product_number  # noqa: PLC0415 - its tables load when they are needed

    return any(not is_product_number(match.group()) for match in _EXIT_CODE.finditer(text))


def _is_trunk_number(text: str) -> bool:
    """Whether a national number with its leading zero is in a text; neither dates nor ISBNs are."""
    for match in _TRUNK.finditer(text):
        number = match.group()
        digits = "".join(filter(str.isdigit, number))
        if digits == number and (len(digits) > _TEN_DIGITS + 1 or (len(digits) == _TEN_DIGITS and _is_isbn(digits))):
            continue
        if not _DATE.search(number):
            return True
    return False


def _is_isbn(digits: str) -> bool:
    return sum(int(digit) * place for place, digit in enumerate(reversed(digits), 1)) % 11 == 0


def _is_birth_date(text: str) -> bool:
    """Whether a text is the date of a possible birth and nothing else, or has a date next to a word for birth."""
    for pattern in (_DATE, _WORDED_DATE) if _YEAR.search(text) else ():
        for match in pattern.finditer(text):
            year = next(int(part) for part in match.groups() if part and len(part) == len("1985"))
            is_whole = match.group() == _TIME_OF_DAY.sub("", text)
            if 1900 <= year <= LAST_BIRTH_YEAR and (is_whole or _BIRTH.search(text)):
                return True
    return False


def _is_ipv6(text: str) -> bool:
    return ":" in text and any(_is_ipv6_address(match.group()) for match in _IPV6.finditer(text))


def _is_ipv6_address(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    if text.count(":") < 2 or len(groups) < 3 or not any(character.isdigit() for character in text):
        return False
    try:
        return bool(IPv6Address(text))
    except ValueError:
        return False


_DETECTORS: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("e-mail address", _EMAIL.search),
    ("phone number", _INTERNATIONAL.search),
    ("phone number", _has_exit_code),
    ("phone number", _is_trunk_number),
    ("phone number", _NATIONAL.search),
    ("phone number", _MOBILE_OF_CHINA.search),
    ("birth date", _is_birth_date),
    ("IP address", _IPV4.search),
    ("IP address", _is_ipv6),
    ("device address", _MAC.search),
    ("coordinates", _COORDINATES.search),
    ("passport", _PASSPORT.search),
    ("passport", _MACHINE_READABLE.search),
    ("query of an address", re.compile(r"[?&][^=\s]{1,40}=\D").search),
)
