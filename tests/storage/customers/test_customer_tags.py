"""Whom a team of a tag sees is looked up again when a tag changed, and only then."""

from datetime import UTC, datetime

import sqlalchemy as sa

from patron.commands.customers.customer_work import add_tag, remove_tag
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction
from patron.storage.customers.customer_tags import tags_version
from patron.storage.runs.last_run import last_run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BY = {"by": "Ada", "now": NOW}


def test_a_version_is_read_again_after_a_change_and_not_for_each_request(made_shop):
    shop = made_shop
    view = last_run(shop)
    first, second = view.query("select customer_id from customers order by 1 limit 2")["customer_id"].to_pylist()
    statements = []

    def note(_connection, _cursor, statement, *_):
        if "FROM customer_tags" in statement:
            statements.append(statement)

    def version():
        statements.clear()
        return tags_version(shop.store, {"read once"}), len(statements)

    sa.event.listen(shop.store.engine, "before_cursor_execute", note)
    try:
        nobody, _ = version()
        add_tag(RequestContext.from_name(shop, **BY), [first], "read once")
        one, reads = version()
        assert (one != nobody, reads) == (True, 1)
        assert version() == (one, 0)
        with shop.store.begin() as connection:
            audit_log.append(shop, connection, AuditAction.SIGNED_IN, {}, at=NOW)
        assert version() == (one, 1), "what else happened changes nothing of it"
        add_tag(RequestContext.from_name(shop, **BY), [second], "read once")
        remove_tag(RequestContext.from_name(shop, **BY), [first], "read once")
        other, _ = version()
        assert other not in (nobody, one), "as many, at the same time, and others"
        remove_tag(RequestContext.from_name(shop, **BY), [second], "read once")
        assert version()[0] == nobody
        assert tags_version(shop.store, ()) is None
    finally:
        sa.event.remove(shop.store.engine, "before_cursor_execute", note)
