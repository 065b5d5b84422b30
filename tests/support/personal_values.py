"""Personal data of 48 kinds, 200 keys that a shop might send it under, and every place of an event that can hold it."""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from stdnum import ean, iban, luhn, verhoeff
from stdnum.cn import ric
from stdnum.es import dni
from stdnum.fr import nir
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp

from patron.schema.events import BY_NAME, EVENTS, Property, properties_of
from patron.schema.events.event_fields import Item

AT = "2026-03-01T11:59:00Z"


@dataclass(frozen=True)
class Kind:
    """One kind of personal data."""

    name: str
    make: Callable[[random.Random], str]
    has_form: bool = True
    """Whether it can be recognised wherever it is; what has no form is safe under keys that nobody declared plain."""


def digits(rng: random.Random, count: int, first: str = "123456789") -> str:
    return rng.choice(first) + "".join(rng.choices("0123456789", k=count - 1))


def letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("BCDFGHJKLMNPQRSTVWXZ", k=count))


def name(rng: random.Random) -> str:
    return f"Zy{letters(rng, 7).lower()}"


def birth(rng: random.Random) -> tuple[int, int, int]:
    return rng.randint(1930, 1998), rng.randint(1, 12), rng.randint(1, 28)


def grouped(text: str, size: int = 4, mark: str = " ") -> str:
    return mark.join(text[n : n + size] for n in range(0, len(text), size))


def card(rng: random.Random, first: str, length: int) -> str:
    start = first + digits(rng, length - len(first) - 1, "0123456789")
    return start + luhn.calc_check_digit(start)


def account(rng: random.Random, country: str, bank: str, count: int) -> str:
    body = bank + digits(rng, count)
    return country + iban.calc_check_digits(f"{country}00{body}") + body


def chinese(rng: random.Random) -> str:
    year, month, day = birth(rng)
    start = f"110105{year}{month:02}{day:02}{digits(rng, 3)}"
    return start + ric.calc_check_digit(start + "0")


def italian(rng: random.Random) -> str:
    start = f"{letters(rng, 6)}{rng.randint(30, 98)}{rng.choice('ABCDEHLMPRST')}{rng.randint(10, 28)}H{digits(rng, 3)}"
    return start + codicefiscale.calc_check_digit(start)


def french(rng: random.Random) -> str:
    start = f"{rng.choice('12')}{rng.randint(30, 98)}{rng.randint(1, 12):02}75{digits(rng, 6)}"
    return start + nir.calc_check_digits(start)


def brazilian(rng: random.Random) -> str:
    start = digits(rng, 9)
    for length in (9, 10):
        total = sum((length + 1 - n) * int(digit) for n, digit in enumerate(start[:length]))
        start += str(-total % 11 % 10 if -total % 11 < 10 else 0)
    return f"{start[:3]}.{start[3:6]}.{start[6:9]}-{start[9:]}"


def korean(rng: random.Random) -> str:
    year, month, day = birth(rng)
    start = f"{year % 100:02}{month:02}{day:02}1{rng.randint(10, 95)}{digits(rng, 3)}"
    return f"{start[:6]}-{start[6:]}{rrn.calc_check_digit(start + '0')}"


def mexican(rng: random.Random) -> str:
    year, month, day = birth(rng)
    start = f"BOXW{year % 100:02}{month:02}{day:02}HNERXN0"
    return start + curp.calc_check_digit(start)


def swedish(rng: random.Random) -> str:
    year, month, day = birth(rng)
    start = f"{year % 100:02}{month:02}{day:02}{digits(rng, 3)}"
    return f"{start[:6]}-{start[6:]}{luhn.calc_check_digit(start)}"


def swiss(rng: random.Random) -> str:
    start = "756" + digits(rng, 9)
    whole = start + ean.calc_check_digit(start)
    return f"{whole[:3]}.{whole[3:7]}.{whole[7:11]}.{whole[11:]}"


def spanish(rng: random.Random) -> str:
    start = digits(rng, 8)
    return start + dni.calc_check_digit(start)


def aadhaar(rng: random.Random) -> str:
    start = digits(rng, 11, "23456789")
    return grouped(start + verhoeff.calc_check_digit(start))


def iso_date(rng: random.Random) -> str:
    year, month, day = birth(rng)
    return f"{year}-{month:02}-{day:02}"


def german_date(rng: random.Random) -> str:
    year, month, day = birth(rng)
    return f"{day:02}.{month:02}.{year}"


KINDS: tuple[Kind, ...] = (
    Kind("e-mail address", lambda r: f"{name(r)}@example.org"),
    Kind("e-mail address with a tag", lambda r: f"{name(r)}+news@mail.example.co.uk"),
    Kind("e-mail address in a sentence", lambda r: f"order for {name(r)}@example.org, please"),
    Kind("encoded e-mail address", lambda r: f"{name(r)}%40example.org"),
    Kind("international phone number", lambda r: f"+49 171 {digits(r, 7)}"),
    Kind("phone number with an exit code", lambda r: f"0049 171 {digits(r, 7)}"),
    Kind("German phone number", lambda r: f"0171 {digits(r, 7)}"),
    Kind("French phone number", lambda r: "0" + digits(r, 1, "67") + " " + grouped(digits(r, 8), 2)),
    Kind("American phone number", lambda r: f"({digits(r, 3, '23456789')}) {digits(r, 3, '23456789')}-{digits(r, 4)}"),
    Kind("Chinese mobile number", lambda r: f"13{digits(r, 9)}"),
    Kind("Indian mobile number", lambda r: f"{digits(r, 5, '6789')} {digits(r, 5)}"),
    Kind("Visa card", lambda r: grouped(card(r, "4", 16))),
    Kind("Mastercard", lambda r: card(r, "5" + digits(r, 1, "12345"), 16)),
    Kind("American Express", lambda r: card(r, "37", 15)),
    Kind("IBAN of Germany", lambda r: account(r, "DE", "", 18)),
    Kind("IBAN of Britain", lambda r: grouped(account(r, "GB", "WEST", 14))),
    Kind("Chinese identity number", chinese),
    Kind("American social security number", lambda r: f"{r.randint(100, 665)}-{r.randint(10, 99)}-{digits(r, 4)}"),
    Kind("Spanish DNI", spanish),
    Kind("Italian codice fiscale", italian),
    Kind("French NIR", french),
    Kind("British national insurance number", lambda r: f"AB{digits(r, 6)}C"),
    Kind("Indian Aadhaar", aadhaar),
    Kind("Indian PAN", lambda r: f"{letters(r, 3)}P{letters(r, 1)}{digits(r, 4)}{letters(r, 1)}"),
    Kind("Brazilian CPF", brazilian),
    Kind("Swedish personnummer", swedish),
    Kind("Korean resident number", korean),
    Kind("Mexican CURP", mexican),
    Kind("Swiss AHV number", swiss),
    Kind("IPv4 address", lambda r: ".".join(str(r.randint(101, 199)) for _ in range(4))),
    Kind("IPv6 address", lambda r: "2001:db8:" + ":".join(f"{r.randint(4096, 65535):x}" for _ in range(6))),
    Kind("MAC address", lambda r: ":".join(f"{r.randint(16, 255):02X}" for _ in range(6))),
    Kind("coordinates", lambda r: f"{r.randint(20, 60)}.{digits(r, 6)}, {r.randint(20, 99)}.{digits(r, 6)}"),
    Kind("date of birth", iso_date),
    Kind("date of birth, the German way", german_date),
    Kind("address with a search", lambda r: f"https://shop.example/find?q={name(r)}"),
    Kind("address with a user", lambda r: f"https://{name(r)}:secret@shop.example/"),
    Kind("passport in words", lambda r: f"Passport No. C{digits(r, 8)}"),
    Kind("given name", name, has_form=False),
    Kind("full name", lambda r: f"{name(r)} {name(r)}", has_form=False),
    Kind("street and number", lambda r: f"{name(r)}straße {r.randint(1, 99)}", has_form=False),
    Kind("search term", lambda r: f"gift for {name(r)}", has_form=False),
    Kind("what somebody wrote", lambda r: f'Dear {name(r)},\nthank you! "{name(r)}"', has_form=False),
    Kind("user name", lambda r: f"{name(r)}_{r.randint(10, 99)}", has_form=False),
    Kind("bare social security number", lambda r: digits(r, 9), has_form=False),
    Kind("bare date of birth", lambda r: iso_date(r).replace("-", ""), has_form=False),
    Kind("advertising id", lambda r: str(UUID(int=r.getrandbits(128), version=4)), has_form=False),
    Kind("number plate", lambda r: f"B-{letters(r, 2)} {digits(r, 4)}", has_form=False),
)

WORDS = """
name vorname nachname surname2 given family_name full_name2 display_name nick handle screen_name author owner
holder insured patient guest passenger traveller companion child spouse parent friend referrer_name
recommended_by salesperson cashier driver courier tel tel_no telefon telephone_number cell cellphone handy mobil
whatsapp line_id telegram signal skype fax_no hotline callback mail_to reply_to from to cc bcc sender subscriber
newsletter contact_info kontakt courriel correo street_1 street_2 house_no plz ort gemeinde county province
district ward postal town village country_of_birth birthplace dob2 born birth_year bday geburtsdatum age_group
anniversary cpf rut dni nif nie curp rfc pesel bsn cpr cnp nino ssn_last aadhaar pan sin tfn nhs passport_no
licence driver_license visa_no steuer_id codice_fiscale numero_secu national_id id_card tax_no vat_no company_no
iban_no account account_no bank bic card card_no pan_masked last4 expiry holder_name sepa mandate source_ip
remote_addr client_ip forwarded_for ua fingerprint session cookie token idfa gaid imei imsi mac serial device
pos point place latlng gps area geo_hash accuracy altitude q s term terms keyword2 looking_for autocomplete
typed input value free text2 remark memo hint instruction wish reason complaint story greeting engraving
dedication inscription label tag custom data payload raw meta extra other details info delivery_note doorbell
floor neighbour pickup_person receiver gift_from gift_to cardholder beneficiary store shelf colour size_note
bundle_note crm_ref legacy_ref external_ref erp_id loyalty_no member_no ticket_no booking_ref
"""
DECLARED = {property_.name for of in (BY_NAME["Product Viewed"], Item) for property_ in properties_of(of)}
NUMBERED = [f"{stem}{n}" for n in range(1, 40) for stem in ("attribute_", "customField")]
KEYS = tuple(dict.fromkeys(word for word in (*WORDS.split(), *NUMBERED) if word not in DECLARED))[:200]


@dataclass(frozen=True)
class Place:
    """A place of an event that can hold a value, and how to put it there."""

    name: str
    put: Callable[[dict[str, Any], str, str], None]
    """Changes a message, given the key and the value."""
    is_declared: bool = False
    """Whether our event classes declare it plain, so that only what has a form is kept out."""
    is_in_properties: bool = True


def message(number: int, event: str = "Product Viewed") -> dict[str, Any]:
    """A message of Segment's protocol that names nobody but a user id."""
    kind = {"Identify": "identify", "Page": "page", "Screen": "screen", "Group": "group", "Alias": "alias"}.get(event)
    properties = {"order_id": f"o{number}", "product_id": "p1", "purpose": "marketing", "referred_user_id": "u0"}
    ids = {"messageId": f"m{number}", "userId": f"u{number}", "timestamp": AT}
    return {"type": kind or "track", "event": event, "properties": properties, "context": {}, **ids}


def put_property(target: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = value


def within(*path: str, wrap: Callable[[str, str], object] = lambda _key, value: value) -> Callable[..., None]:
    """A place at a path; `{}` stands for the key."""
    return lambda sent, key, value: put_property(sent, tuple(part.format(key) for part in path), wrap(key, value))


UNDECLARED: tuple[Place, ...] = (
    Place("a property", within("properties", "{}")),
    Place("a property of an object", within("properties", "extra", "{}")),
    Place("an item of a list", within("properties", "{}", wrap=lambda _key, value: [1, value])),
    Place("an object in a list", within("properties", "rows", wrap=lambda key, value: [{"n": 1, key: value}])),
    Place("JSON in a text", within("properties", "{}", wrap=lambda key, value: json.dumps({key: value}))),
    Place("a product of a list", within("properties", "products", wrap=lambda key, value: [{"sku": "a", key: value}])),
    Place("a trait", within("context", "traits", "{}"), is_in_properties=False),
    Place("the context", within("context", "{}"), is_in_properties=False),
    Place("the context's page", within("context", "page", "{}"), is_in_properties=False),
    Place("the integrations", within("integrations", "{}"), is_in_properties=False),
    Place("the user id", lambda sent, _key, value: sent.update(userId=value), is_in_properties=False),
    Place("the visitor id", lambda sent, _key, value: sent.update(anonymousId=value), is_in_properties=False),
    Place("an object where a text belongs", within("properties", "brand", wrap=lambda key, value: {key: value})),
)


def put_into(event: str, declared: Property, *, is_item: bool = False) -> Callable[..., None]:
    def put(sent: dict[str, Any], _key: str, value: str) -> None:
        sent.update(message(0, event) | {name: sent[name] for name in ("messageId", "userId")})
        content = [{"type": value, "value": value}] if declared.kind == "any" else value
        if is_item:
            content = {"sku": "a", declared.name: value}
            put_property(sent, ("properties", "products"), [content])
        else:
            put_property(sent, ("properties", declared.name), content)

    return put


def declared_places() -> Iterator[Place]:
    """Every text that our event classes declare, and what a message holds besides its properties."""
    for event in EVENTS:
        for property_ in properties_of(event):
            if property_.kind in {"text", "any"}:
                yield Place(
                    f"{event.event}: {property_.name}",
                    put_into(event.event, property_),
                    is_declared=not property_.vault,
                )
    for property_ in properties_of(Item):
        if property_.kind == "text":
            put = put_into("Order Completed", property_, is_item=True)
            yield Place(f"a product's {property_.name}", put, is_declared=not property_.vault)
    yield Place("the event's name", lambda sent, _key, value: sent.update(event=value), is_declared=True)
    yield Place("the event's id", lambda sent, _key, value: sent.update(messageId=value), is_declared=True)
    yield Place("a key", within("properties", "extra", wrap=lambda _key, value: {value: 1}), is_declared=True)
    yield Place("a plain trait", within("context", "traits", "country"), is_declared=True)
    for names in (("locale",), ("timezone",), *(("campaign", one) for one in ("name", "source", "medium", "content"))):
        yield Place(f"the context's {' '.join(names)}", within("context", *names), is_declared=True)


PLACES: tuple[Place, ...] = (*UNDECLARED, *declared_places())


def needle_of(value: str) -> str:
    """The part of a value to look for, which no way of writing it changes."""
    return max(re.split(r'["\n]', value), key=len)


@dataclass(frozen=True)
class Case:
    """One kind of personal data under one key in one place."""

    kind: Kind
    key: str
    place: Place
    value: str

    @property
    def needle(self) -> str:
        """The part of the value to look for, which no way of writing it changes."""
        return needle_of(self.value)

    def message(self, number: int) -> dict[str, Any]:
        """A message that holds the value there."""
        sent = message(number)
        if self.place.name in {"a trait", "a plain trait"}:
            sent |= {"type": "identify"}
        self.place.put(sent, self.key, self.value)
        return sent

    def __repr__(self) -> str:
        """What a failing test shows."""
        return f"{self.kind.name} {self.value!r} under {self.key!r} in {self.place.name}"


def fits(kind: Kind, place: Place) -> bool:
    """Whether a kind must not stay in clear there; names in declared places are beyond any detector."""
    return kind.has_form or not place.is_declared


def sample(rng: random.Random, count: int) -> list[Case]:
    """Cases drawn at random."""
    cases = []
    while len(cases) < count:
        kind, place = rng.choice(KINDS), rng.choice(PLACES)
        if fits(kind, place):
            cases.append(Case(kind, rng.choice(KEYS), place, kind.make(rng)))
    return cases


def whole_product(rng: random.Random) -> Iterator[Case]:
    """Every kind in every place: where the key is free, under every key."""
    for kind in KINDS:
        for place in PLACES:
            for key in KEYS if place in UNDECLARED else KEYS[:1]:
                if fits(kind, place):
                    yield Case(kind, key, place, kind.make(rng))
