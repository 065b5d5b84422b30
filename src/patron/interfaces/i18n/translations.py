"""The texts of one language by their keys, and the names of codes that tables hold."""

import gettext
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

from babel import Locale

from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.catalogue import read_catalogue


@dataclass(frozen=True)
class Words:
    """The catalogue of one language: texts by key, and the names of codes that tables hold."""

    locale: str
    texts: dict[str, str | tuple[str, ...]]
    plural: Callable[[int], int]

    def __call__(self, key: str, **values: object) -> str:
        """Text of a key with its values filled in; `n` chooses the plural. Raises KeyError for an unknown key."""
        text = self.texts[key]
        if isinstance(text, tuple):
            count = values.get("n", 0)
            text = text[self.plural(count if isinstance(count, int) else 0)]
        return text.format(**values) if values else text

    def code(self, family: str, code: object) -> str:
        """Name of a code that a table holds, such as a stage; a code without a translation is made readable."""
        text = self.texts.get(f"{family}.{code}")
        return text if isinstance(text, str) else readable(str(code))

    def persona(self, name_code: str) -> str:
        """Name of a persona: the traits that set it apart, joined; numbers stay."""
        name = self("persona.joint").join(self._persona_part(part) for part in name_code.split("+"))
        return name[:1].upper() + name[1:]

    def _persona_part(self, part: str) -> str:
        """One trait of a name; a favourite is written `code=level`, percent-encoded."""
        code, is_favourite, level = part.partition("=")
        text = self.code("persona", code)
        return text.format(level=self.level(code, unquote(level))) if is_favourite else text

    def stratum(self, code: str) -> str:
        """Name of a stratum, whose parts are joined by a slash."""
        return self("list.joint").join(self.code("stratum", part) for part in code.split("/"))

    def offer(self, offer_id: str, names: Mapping[str, str]) -> str:
        """Name of an offer: as the shop calls it, or ours where the shop kept the name that came with Patron."""
        name, ours = names.get(offer_id), words(LOCALES[0]).texts.get(f"offer.{offer_id}")
        return name if name and name != ours else self.code("offer", offer_id)

    def rejection(self, reason: str, message: str) -> str:
        """Message of a rejected row in this language; one whose wording is not known stays as it was written."""
        english, own = (texts.get(f"rejection.{reason}") for texts in (words(LOCALES[0]).texts, self.texts))
        if not isinstance(english, str) or not isinstance(own, str):
            return message
        match = re.fullmatch(re.escape(english).replace(re.escape("{detail}"), "(?P<detail>.*)"), message, re.DOTALL)
        return own.format(**match.groupdict()) if match else message

    def feature(self, name: str) -> str:
        """Name of the feature behind a forecast, or of one level of it, written `feature=level`."""
        feature, is_level, level = name.partition("=")
        if not is_level:
            return self.code("feature", feature)
        return self("reason.level", name=self.code("feature", feature), level=self.level(feature, level))

    def level(self, feature: str, level: str) -> str:
        """Name of a value that the data gives as text; one without a translation stays as the shop wrote it."""
        families = ("channel",) if feature.endswith("channel") else ("trait_value", "level")
        texts = (self.texts.get(f"{family}.{level}") for family in families)
        return next((text for text in texts if isinstance(text, str)), level)

    @property
    def html_language(self) -> str:
        """Language as HTML writes it: en, zh-CN."""
        return self.locale.replace("_", "-")


def readable(code: str) -> str:
    """Turn a code into plain words: `avg_basket` becomes "Avg basket"."""
    return code.replace("_", " ").replace("-", " ").strip().capitalize()


@cache
def words(locale: str) -> Words:
    """Catalogue of a language. Raises KeyError when it is not one of LOCALES."""
    if locale not in LOCALES:
        raise KeyError(locale)
    texts, rule = read_catalogue(locale)
    return Words(locale, texts, gettext.c2py(rule))


def choose_locale(requested: str | None, accepted: str | None = None) -> str:
    """Language to show: the requested one if it exists, else the first the browser accepts, else English."""
    tags = [requested or ""] + [part.partition(";")[0] for part in (accepted or "").split(",")]
    for tag in tags:
        if not tag.strip():
            continue
        language = tag.strip().replace("-", "_").partition("_")[0].lower()
        matches = [locale for locale in LOCALES if Locale.parse(locale).language == language]
        if matches:
            return matches[0]
    return LOCALES[0]
