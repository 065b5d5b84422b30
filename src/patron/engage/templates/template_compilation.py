"""A template compiled as a sandbox does it: its body to HTML and text, its Liquid parsed and looked through."""

from dataclasses import dataclass
from typing import Any

from liquid import BoundTemplate
from liquid.exceptions import LiquidError

from patron.engage.templates.html_compilation import TODO, compile_body
from patron.engage.templates.liquid_environment import liquid_environment
from patron.schema.errors import BadTemplate
from patron.schema.sentences import Sentence

TEMPLATE_FILTER = Sentence("template_filter", "has a filter {name!r}, which does not exist")
TEMPLATE_LIQUID = Sentence("template_liquid", "is not valid Liquid ({cause})")
TEMPLATE_TAGS = Sentence("template_tags", "has more than {count:,} Liquid tags and values")
TEMPLATE_FEWER_TAGS = Sentence("template_fewer_tags", "Remove some, or write the text out.")

HTML, PLAIN = liquid_environment(is_html=True), liquid_environment(is_html=False)
MAX_TAGS = 1_000
"""Most tags, filters and values in one part; with the limit on loops this bounds the time to render it."""


@dataclass(frozen=True)
class CompiledTemplate:
    """A template of which MJML, CSS and Liquid are known to be valid."""

    html: str
    """With its Liquid; empty for a text."""
    text: str
    variables: tuple[tuple[str, ...], ...]
    """What its subject, text and HTML need or may use, such as customer.first_name."""


def compile_template(subject: str, body: str, body_format: str, where: str) -> CompiledTemplate:
    """Compile a template. Raises BadTemplate."""
    html, text = compile_body(body, body_format, where=where)
    parts = [
        parse_liquid(PLAIN, subject, f"{where}, subject"),
        parse_liquid(PLAIN, text, where),
        *([parse_liquid(HTML, html, where)] if html else []),
    ]
    return CompiledTemplate(html, text, tuple(_variables(part, where) for part in parts))


def parse_liquid(environment: Any, source: str, where: str) -> BoundTemplate:
    """Parse a text with Liquid. Raises BadTemplate."""
    try:
        return environment.from_string(source)
    except LiquidError as error:
        raise BadTemplate(TEMPLATE_LIQUID(cause=error.message), where=where, todo=TODO) from error


def _variables(template: BoundTemplate, where: str) -> tuple[str, ...]:
    """What a part names. Raises BadTemplate for an unknown filter, and for a part with more tags than one may have."""
    parts = template.analyze()
    unknown = sorted(parts.filters.keys() - template.env.filters.keys())
    if unknown:
        raise BadTemplate(TEMPLATE_FILTER(name=unknown[0]), where=where, todo=TODO)
    if sum(len(places) for kind in (parts.tags, parts.filters, parts.variables) for places in kind.values()) > MAX_TAGS:
        raise BadTemplate(TEMPLATE_TAGS(count=MAX_TAGS), where=where, todo=TEMPLATE_FEWER_TAGS)
    return tuple(sorted({".".join(map(str, place.segments)) for places in parts.globals.values() for place in places}))
