"""A template compiled as a sandbox does it: its body to HTML and text, its Liquid parsed and looked through."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression

from patron.engage.templates.html_compilation import TODO, compile_body
from patron.engage.templates.liquid_environment import liquid_environment
from patron.schema.errors import BadTemplate
from patron.schema.sentences import Sentence

TEMPLATE_FILTER = Sentence("template_filter", "has a filter {name!r}, which does not exist")
TEMPLATE_LIQUID = Sentence("template_liquid", "is not valid Liquid ({cause})")
TEMPLATE_TAGS = Sentence("template_tags", "has more than {count:,} Liquid tags and values")
TEMPLATE_LOOPS = Sentence("template_loops", "has more than {count:,} Liquid tags and values in its loops")
TEMPLATE_NESTED = Sentence("template_nested", "nests Liquid more than {count} deep")
TEMPLATE_FEWER_TAGS = Sentence("template_fewer_tags", "Remove some, or write the text out.")

HTML, PLAIN = liquid_environment(is_html=True), liquid_environment(is_html=False)
MAX_TAGS = 1_000
"""Most tags, filters and variables in one part."""
MAX_EVALUATIONS, MAX_EVALUATIONS_IN_LOOPS = 5_000, 500
"""Most tags, filters and values of any kind in one part, and in its loops: with the limit on their rounds, this bounds
the time to render it."""
MAX_DEPTH = 50
"""Most levels of tags and values within each other: rendering recurses at each."""
LOOPS = (ForNode, TablerowNode)
FILTERS = ("filters", "tail_filters")
"""Where expressions have filters."""


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
    except RecursionError as error:
        raise BadTemplate(TEMPLATE_NESTED(count=MAX_DEPTH), where=where, todo=TODO) from error


def _variables(template: BoundTemplate, where: str) -> tuple[str, ...]:
    """What a part names. Raises BadTemplate for an unknown filter, and for a part that is too large or too deep."""
    _limit_evaluations(template, where)
    parts = template.analyze()
    unknown = sorted(parts.filters.keys() - template.env.filters.keys())
    if unknown:
        raise BadTemplate(TEMPLATE_FILTER(name=unknown[0]), where=where, todo=TODO)
    if sum(len(places) for kind in (parts.tags, parts.filters, parts.variables) for places in kind.values()) > MAX_TAGS:
        raise BadTemplate(TEMPLATE_TAGS(count=MAX_TAGS), where=where, todo=TEMPLATE_FEWER_TAGS)
    return tuple(sorted({".".join(map(str, place.segments)) for places in parts.globals.values() for place in places}))


def _limit_evaluations(template: BoundTemplate, where: str) -> None:
    """Bound what is evaluated to render a part, whatever tag it belongs to. Raises BadTemplate."""
    context, counts = RenderContext(template), Counter[bool]()
    waiting: list[tuple[Node | Expression, int, bool]] = [(node, 1, False) for node in template.nodes]
    while waiting:
        part, depth, is_looped = waiting.pop()
        if depth > MAX_DEPTH:
            raise BadTemplate(TEMPLATE_NESTED(count=MAX_DEPTH), where=where, todo=TODO)
        # why: filters are no children of what they are applied to
        counts[is_looped] += 1 + sum(len(getattr(part, name, None) or ()) for name in FILTERS)
        is_looped = is_looped or isinstance(part, LOOPS)
        within = (*part.expressions(), *part.children(context)) if isinstance(part, Node) else part.children()
        waiting += [(one, depth + 1, is_looped) for one in within]
        if counts.total() > MAX_EVALUATIONS:
            raise BadTemplate(TEMPLATE_TAGS(count=MAX_EVALUATIONS), where=where, todo=TEMPLATE_FEWER_TAGS)
    if counts[True] > MAX_EVALUATIONS_IN_LOOPS:
        raise BadTemplate(TEMPLATE_LOOPS(count=MAX_EVALUATIONS_IN_LOOPS), where=where, todo=TEMPLATE_FEWER_TAGS)
