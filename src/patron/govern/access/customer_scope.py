"""What a restricted team may not change or see: its segment and the tags that this names, and other customers."""

from collections.abc import Iterable

from patron.govern.access.request_context import RequestContext
from patron.govern.access.visible_customers import VisibleCustomers
from patron.schema.customers.customer_contacts import unknown_customer
from patron.schema.errors import NotAllowed
from patron.schema.sentences import Sentence
from patron.schema.spelling import one_line
from patron.storage.segments.segment_definitions import segments_within, tags_within

SCOPE_SEGMENT = Sentence("scope_segment", "this segment says which customers your team sees")
SCOPE_TAG = Sentence("scope_tag", "this tag says which customers your team sees")
UNRESTRICTED = Sentence("scope_ask", "Ask somebody whose team is not restricted by it.")


def refuse_scope_change(context: RequestContext, segment: str) -> None:
    """Refuse who sees some customers only to change the segment that says which. Raises NotAllowed."""
    scope = context.actor.segment
    if scope and segment in segments_within(context.shop.store, scope):
        raise NotAllowed(403, SCOPE_SEGMENT, where=segment[:100], todo=UNRESTRICTED)


def refuse_scope_tag(context: RequestContext, tag: str) -> None:
    """Refuse such a reader to give or take a tag that this segment names. Raises NotAllowed."""
    scope = context.actor.segment
    if scope and one_line(tag) in tags_within(context.shop.store, scope):
        raise NotAllowed(403, SCOPE_TAG, where=tag[:40], todo=UNRESTRICTED)


def refuse_hidden(visible: VisibleCustomers | None, customer_ids: Iterable[str]) -> None:
    """Refuse customers whom the reader does not see. Raises NotFound, as for customers whom nobody knows."""
    hidden = next((one for one in customer_ids if visible is not None and one not in visible), None)
    if hidden is not None:
        raise unknown_customer(hidden)
