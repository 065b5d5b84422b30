"""What a restricted team may not change or see: segments of teams and the tags that these name, and other customers."""

from collections.abc import Iterable

import sqlalchemy as sa

from patron.govern.access.request_context import RequestContext
from patron.govern.access.visible_customers import VisibleCustomers
from patron.schema.customers.customer_contacts import unknown_customer
from patron.schema.errors import NotAllowed
from patron.schema.sentences import Sentence
from patron.schema.spelling import one_line
from patron.storage.access.access_tables import API_KEYS, TEAMS
from patron.storage.segments.segment_definitions import segments_within, tags_within

SCOPE_SEGMENT = Sentence("scope_segment", "this segment says which customers a team sees")
SCOPE_TAG = Sentence("scope_tag", "this tag says which customers a team sees")
UNRESTRICTED = Sentence("scope_ask", "Ask somebody who sees all customers.")


def refuse_scope_change(context: RequestContext, segment: str) -> None:
    """Refuse who sees some customers only to change a segment that says which any team sees. Raises NotAllowed."""
    if any(segment in segments_within(context.shop.store, scope) for scope in _scope_segments(context)):
        raise NotAllowed(403, SCOPE_SEGMENT, where=segment[:100], todo=UNRESTRICTED)


def refuse_scope_tag(context: RequestContext, tag: str) -> None:
    """Refuse such a reader to give or take a tag that one of these segments names. Raises NotAllowed."""
    if any(one_line(tag) in tags_within(context.shop.store, scope) for scope in _scope_segments(context)):
        raise NotAllowed(403, SCOPE_TAG, where=tag[:40], todo=UNRESTRICTED)


def _scope_segments(context: RequestContext) -> Iterable[str]:
    """Segments that say which customers teams and keys see, for a reader whom one of them restricts; else none."""
    if not context.actor.segment:
        return ()
    with context.shop.store.begin() as connection:
        of_others = [
            *connection.scalars(sa.select(TEAMS.c.segment)),
            *connection.scalars(sa.select(API_KEYS.c.segment)),
        ]
    return {context.actor.segment, *filter(None, of_others)}


def refuse_hidden(visible: VisibleCustomers | None, customer_ids: Iterable[str]) -> None:
    """Refuse customers whom the reader does not see. Raises NotFound, as for customers whom nobody knows."""
    hidden = next((one for one in customer_ids if visible is not None and one not in visible), None)
    if hidden is not None:
        raise unknown_customer(hidden)
