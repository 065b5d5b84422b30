"""Texts of the privacy desk: purposes, classes of data, and places of a certificate."""

from collections.abc import Iterable

from patron.interfaces.i18n.translations import Words

ROWS_OF = "rows of "


def code_options(texts: Words, family: str, codes: Iterable[str]) -> list[tuple[str, str]]:
    """Options of a select: codes with their names."""
    return [(code, texts(f"{family}.{code}")) for code in codes]


def purpose_name(purpose: str, texts: Words) -> str:
    """Name of a purpose of consent; one of the shop's own stays as it is."""
    topic, is_of_channel, channel = purpose.partition("/")
    name = texts.texts.get(f"purpose.{topic}")
    name = name if isinstance(name, str) else topic
    return texts("purpose.on_channel", purpose=name, channel=texts.code("channel", channel)) if is_of_channel else name


def data_class(code: str, texts: Words) -> str:
    """Name of a class of personal data."""
    return texts(f"data_class.{code}")


def erased_place(place: str, texts: Words) -> str:
    """A place of a certificate: rows of a table, or something of its own."""
    if place.startswith(ROWS_OF):
        return texts("erased_place.rows", table=place.removeprefix(ROWS_OF))
    text = texts.texts.get(f"erased_place.{place.replace(' ', '_').replace(',', '')}")
    return text if isinstance(text, str) else place[:1].upper() + place[1:]
