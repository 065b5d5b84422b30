"""Templates of messages: Liquid with limits, in several languages; compiled once, rendered for each person.

The HTML is made from MJML once, CSS inlined, with the Liquid in it untouched; for each person only Liquid is rendered.
Values are escaped in HTML. A value that is missing is an error that names it, unless the template has a `default` for
it or asks for it by `if`: no message goes out with a gap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from html import escape
from typing import Any, Self

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, UndefinedError

from patron.engage.templates.customer_names import OF_CUSTOMERS
from patron.engage.templates.html_compilation import TODO
from patron.engage.templates.liquid_environment import limited_work
from patron.engage.templates.template_compilation import (
    HTML,
    MAX_DEPTH,
    PLAIN,
    TEMPLATE_NESTED,
    compile_template,
    parse_liquid,
)
from patron.schema.common_sentences import SHORTEN, TOO_LONG
from patron.schema.errors import BadTemplate
from patron.schema.sentences import Sentence
from patron.schema.spelling import DID_YOU_MEAN, did_you_mean
from patron.storage.outreach.campaign_file import Template
from patron.storage.sandbox.sandbox import Sandbox, Stopped
from patron.storage.sandbox.sandbox_process import Bounds

TEMPLATE_ADD_LINK = Sentence("template_add_link", "Add one, such as {link}.")
TEMPLATE_DEFAULT = Sentence("template_default", "Give it a default, such as {example}, or take it out.")
TEMPLATE_NO_LINK = Sentence("template_no_link", "has no unsubscribe link, which every message needs")
TEMPLATE_HIDES_LINK = Sentence("template_hides_link", "has no unsubscribe link for some customers")
TEMPLATE_EMPTY = Sentence("template_empty", "is empty for some customers")
TEMPLATE_NO_VALUE = Sentence("template_no_value", "lacks a value for some customers ({cause})")
TEMPLATE_MAY_NAME = Sentence("template_may_name", "It may name {names}.")
TEMPLATE_NAME = Sentence("template_name", "names {name}, which no message has")
TEMPLATE_CONDITION = Sentence("template_condition", "Take it out of the condition that it stands in.")
TEMPLATE_RENDER = Sentence("template_render", "cannot be rendered ({cause})")

COMPILER = Sandbox(Bounds(seconds=2.0, memory_bytes=256 << 20))
"""Where templates are compiled: the compilers of MJML and CSS recurse into whatever is nested."""
MAX_COMPILED = 64
"""Templates that a process keeps compiled: of one version and language each."""
UNSUBSCRIBE_URL, PREFERENCES_URL = "unsubscribe_url", "preferences_url"
KNOWN_NAMES = ("customer", "shop", "offer", "product", UNSUBSCRIBE_URL, PREFERENCES_URL, "now", "today")
"""What a template may name: the first part of each variable."""
MISSPELT = 0.8
"""How like a name of customers another one must be to be taken for it; shops may declare traits of their own."""
MAX_SUBJECT_LENGTH = 300
CONTROLS_TO_SPACE = dict.fromkeys([*range(32), 127, 0x85, 0x2028, 0x2029], " ")
"""A line break in a value must not begin a header of its own."""
LINK_EXAMPLE = f'<a href="{{{{ {UNSUBSCRIBE_URL} }}}}">Unsubscribe</a>'
DEFAULT_EXAMPLE = "{{ customer.first_name | default: 'you' }}"


@dataclass(frozen=True)
class RenderedMessage:
    """A message as one person gets it."""

    subject: str
    text: str
    html: str
    """Empty for a message of text alone."""


@dataclass(frozen=True)
class MessageTemplate:
    """Subject and body in one language, ready to be rendered."""

    language: str
    variables: frozenset[str]
    """What it needs or may use, such as customer.first_name."""
    _subject: BoundTemplate
    _text: BoundTemplate
    _html: BoundTemplate | None

    @classmethod
    def of(cls, template: Template, language: str = "") -> Self:
        """Compile a template. Raises BadTemplate for one that is not valid, or has no link to unsubscribe."""
        return cls(**_compile(template.subject, template.body, template.format, language))

    def require_known_names(self) -> None:
        """Refuse what no message has a value for, such as a name that is misspelt. Raises BadTemplate."""
        for variable in sorted(self.variables):
            name, _, leaf = variable.partition(".")
            if name not in KNOWN_NAMES:
                todo = did_you_mean(name, KNOWN_NAMES) or TEMPLATE_MAY_NAME(names=", ".join(KNOWN_NAMES))
                raise BadTemplate(TEMPLATE_NAME(name=variable), where=_where(self.language), todo=todo)
            meant = get_close_matches(leaf, OF_CUSTOMERS, n=1, cutoff=MISSPELT) if name == "customer" else []
            if meant and leaf not in OF_CUSTOMERS:
                todo = DID_YOU_MEAN(name=f"customer.{meant[0]}")
                raise BadTemplate(TEMPLATE_NAME(name=variable), where=_where(self.language), todo=todo)

    def render(self, variables: Mapping[str, Any]) -> RenderedMessage:
        """The message for somebody with these values. Raises BadTemplate naming the language and what is missing."""
        where = _where(self.language)
        subject = self._render(self._subject, variables, f"{where}, subject")
        text = self._render(self._text, variables, where)
        html = self._render(self._html, variables, where) if self._html else ""
        subject = " ".join(subject.translate(CONTROLS_TO_SPACE).split())
        if not subject or len(subject) > MAX_SUBJECT_LENGTH:
            what = TEMPLATE_EMPTY if not subject else TOO_LONG(count=MAX_SUBJECT_LENGTH)
            raise BadTemplate(what, where=f"{where}, subject", todo=TODO)
        url = str(variables[UNSUBSCRIBE_URL])
        if url not in text or (html and escape(url) not in html):
            what = TEMPLATE_HIDES_LINK
            raise BadTemplate(what, where=where, todo=TEMPLATE_CONDITION)
        return RenderedMessage(subject, text, html)

    @staticmethod
    def _render(template: BoundTemplate, variables: Mapping[str, Any], where: str) -> str:
        try:
            with limited_work():
                return template.render(variables)
        except UndefinedError as error:
            what = TEMPLATE_NO_VALUE(cause=error.message)
            todo = TEMPLATE_DEFAULT(example=DEFAULT_EXAMPLE)
            raise BadTemplate(what, where=where, todo=todo) from error
        except LiquidError as error:
            raise BadTemplate(TEMPLATE_RENDER(cause=error.message), where=where, todo=TODO) from error
        except RecursionError as error:
            raise BadTemplate(TEMPLATE_NESTED(count=MAX_DEPTH), where=where, todo=TODO) from error


@dataclass(frozen=True)
class MessageTemplates:
    """The templates of a campaign by language, and which one is for whom."""

    by_language: Mapping[str, MessageTemplate]
    shop_language: str

    @classmethod
    def of(cls, templates: Mapping[str, Template], shop_language: str) -> Self:
        """Compile all of them; `shop_language` is the shop's. Raises BadTemplate."""
        compiled = {language: MessageTemplate.of(one, language) for language, one in templates.items()}
        return cls(compiled, shop_language)

    def require_known_names(self) -> None:
        """Refuse what no message has a value for. Raises BadTemplate."""
        for one in self.by_language.values():
            one.require_known_names()

    def template_for(self, locale: str) -> MessageTemplate:
        """The template of a customer's locale, else of its language, else of the shop's own, else the first."""
        return self.by_language[language_for(locale, self.by_language, self.shop_language)]

    @property
    def variables(self) -> frozenset[str]:
        """What any of them needs or may use."""
        return frozenset[str]().union(*(one.variables for one in self.by_language.values()))


def language_for(locale: str, languages: Iterable[str], shop_language: str) -> str:
    """One of the languages: the locale, else its language in any region, else the shop's own, else the first."""
    listed = list(languages)
    wanted = locale.replace("-", "_")
    for name in (wanted, shop_language):
        language = name.partition("_")[0].lower()
        candidates = [one for one in listed if one.lower() == name.lower()]
        candidates += [one for one in listed if one.lower() == language]
        candidates += [one for one in listed if language and one.partition("_")[0].lower() == language]
        if candidates:
            return candidates[0]
    return listed[0]


def _where(language: str) -> str:
    return f"template.{language}" if language else "template"


@lru_cache(MAX_COMPILED)
def _compile(subject: str, body: str, body_format: str, language: str) -> dict[str, Any]:
    """Fields of a compiled template. Raises BadTemplate."""
    where = _where(language)
    try:
        compiled = COMPILER.call(compile_template, subject, body, body_format, where)
    except Stopped as stopped:
        raise stopped.refusal(BadTemplate, where=where, todo=SHORTEN) from stopped
    if any(UNSUBSCRIBE_URL not in names for names in compiled.variables[1:]):
        raise BadTemplate(TEMPLATE_NO_LINK, where=where, todo=TEMPLATE_ADD_LINK(link=LINK_EXAMPLE))
    return {
        "language": language,
        "variables": frozenset[str]().union(*compiled.variables),
        "_subject": parse_liquid(PLAIN, subject, f"{where}, subject"),
        "_text": parse_liquid(PLAIN, compiled.text, where),
        "_html": parse_liquid(HTML, compiled.html, where) if compiled.html else None,
    }
