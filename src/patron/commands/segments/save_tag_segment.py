"""Save the segment of customers who were picked by hand: they get a tag, and the segment is whoever has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from patron.commands.customers.customer_work import add_tag, tag_name
from patron.govern.access.customer_scope import refuse_scope_change, refuse_scope_tag
from patron.govern.access.request_context import RequestContext
from patron.schema.common_sentences import NO_SLASH
from patron.schema.errors import BadRequest, BadSegment
from patron.schema.sentences import Sentence
from patron.segments.segment_rules import TagRule
from patron.storage.customers.customer_tables import CUSTOMER_TAGS
from patron.storage.customers.customer_tags import tagged_customers
from patron.storage.segments.segment_definitions import definitions, save_definition
from patron.storage.shop import Shop

SEGMENT_OWN_RULE = Sentence("segment_own_rule", "there is a segment {name!r} with a rule of its own")
TAG_OF_OTHERS = Sentence(
    "tag_of_others", "other customers have the tag {name!r} already, and would be in the segment too"
)
OTHER_NAME = Sentence("other_name", "Choose another name.")


@dataclass(frozen=True)
class TagSegment:
    """A segment of whoever has the tag of its name."""

    name: str
    added_count: int
    """Customers who did not have the tag."""


def save_tag_segment(context: RequestContext, customer_ids: Sequence[str], name: str) -> TagSegment:
    """Tag customers, and save the segment of that tag; with the name of an earlier such segment they join it.

    Raises BadRequest for what is no tag (422) or a tag that others have already (409), who would be in the segment too;
    BadSegment for a name that another segment has, NotFound, NotAllowed.
    """
    tag = tag_name(name)
    refuse_scope_change(context, tag)
    refuse_scope_tag(context, tag)
    if "/" in tag:
        raise BadSegment(NO_SLASH, where="name", todo=OTHER_NAME)
    rule, saved = TagRule((tag,)), definitions(context.shop.store).get(tag)
    if saved and saved.rule != rule:
        raise BadSegment(SEGMENT_OWN_RULE(name=tag), where="name", todo=OTHER_NAME)
    if not saved and _has_others(context.shop, tag, customer_ids):
        raise BadRequest(409, TAG_OF_OTHERS(name=tag), where="name", todo=OTHER_NAME)
    if not saved:  # why first: where it is refused nobody is tagged
        with context.shop.store.begin() as connection:
            save_definition(connection, tag, rule, saved_by=context.by, at=context.now)
    return TagSegment(tag, add_tag(context, customer_ids, tag))


def _has_others(shop: Shop, tag: str, customer_ids: Sequence[str]) -> bool:
    """Whether somebody has a tag who is not one of these customers."""
    tagged = tagged_customers(shop.store, [tag])[CUSTOMER_TAGS.name]["customer_id"].to_pylist()
    return not set(tagged) <= set(customer_ids)
