"""An operation is a function of a room, with what every door needs to know about it."""

from datetime import UTC, datetime
from typing import Annotated

import pyarrow as pa
import pytest
from pydantic import Field

from patron.govern.access.audit_log import entries
from patron.govern.access.operations import operation, operation_of
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import ALL_RIGHTS, Action, Actor, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.storage.shop import Shop

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 30, 13, tzinfo=UTC)


@operation(Right(Action.READ, Area.CUSTOMERS), "GET /api/visits/{page}")
def list_visits(
    shop: Shop, page: Annotated[int, Field(ge=1)], *, only: pa.Table | None = None, now: datetime
) -> tuple[object, ...]:
    """Visits of a page. Raises NotFound.

    More about it.
    """
    return (shop, page, only, now)


def test_what_a_request_gives_is_not_asked_for(shop):
    declared, context = operation_of(list_visits), RequestContext.from_name(shop, "Ada", now=NOW)
    assert [parameter.name for parameter in declared.asked] == ["page"]
    assert declared.carry_out(context, page=2) == (shop, 2, None, NOW)
    assert (declared.name, declared.sentence) == ("list_visits", "Visits of a page.")


def test_who_sees_some_customers_only_is_given_theirs(shop):
    restricted = Actor("Ben", ALL_RIGHTS, user_id="0b", segment="west")
    rows = operation_of(list_visits).carry_out(RequestContext(shop, restricted, now=NOW), page=1)[2]
    assert rows.column_names == ["customer_id"]
    assert rows.num_rows == 0, "before any run nobody is known to be in it"


def test_an_operation_stays_the_function_that_it_is(shop):
    assert list_visits(shop, 3, now=NOW) == (shop, 3, None, NOW)
    with pytest.raises(KeyError):
        operation_of(lambda: None)


def test_what_was_done_is_recorded_with_who_and_when(shop):
    context = RequestContext.from_name(shop, "Ada", now=NOW, clock=lambda: LATER)
    with shop.store.begin() as connection:
        context.record(connection, AuditAction.SEGMENT_DELETED, {"segment": "west"})
    [entry] = [one for one in entries(shop.store) if one.action == "segment deleted"]
    assert entry.at == NOW.isoformat()
    assert entry.details == '{"by": "Ada", "segment": "west"}'
    assert (context.now, context.time()) == (NOW, LATER)
    assert RequestContext.from_name(shop, now=NOW).time() == NOW
