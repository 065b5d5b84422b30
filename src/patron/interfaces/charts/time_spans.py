"""Times in the unit of a model, in words; and how charts speak where nobody says otherwise, as in a notebook."""

from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words, words

ENGLISH = words(LOCALES[0])
PLAIN = Formats(LOCALES[0], "USD", "UTC")


def span(time: str, unit: str, texts: Words, formats: Formats) -> str:
    """So many units of time, as "13 weeks"."""
    number = float(time)
    count = formats.count(number) if number == int(number) else formats.number(number, 1)
    return texts(f"span.{unit or 'any'}", n=int(number) if number == int(number) else 0, count=count)
