"""One customer as pages and the API show them: the last run's facts where there are any, and what is live."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.answers.customers.customer_profile import CustomerCard, customer_card
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.interfaces.http.customers.customer_view import NewCustomer, customer_now
from patron.schema.errors import NoRunYet, NotFound
from patron.schema.tables import BY_NAME, CUSTOMERS, FEATURES, IDENTITIES
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.runs import Run
from patron.storage.store.store import RUNS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AN_HOUR_AGO = NOW - timedelta(hours=1)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


def send(shop, *event_ids, user="u1"):
    """Send page views of one user, which the service takes in at once."""
    base = {"type": "track", "event": "Product Viewed", "userId": user, "timestamp": AN_HOUR_AGO.isoformat()}
    batch = [base | {"messageId": event_id, "properties": {"product_id": "p1"}} for event_id in event_ids]
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps({"batch": batch}).encode(), "web", NOW, OPEN)])
    worker = CompactionWorker(shop)
    worker.run_once()
    assert worker.trouble is None


def finish_run(shop, *customer_ids):
    """A run that knows these customers."""
    times = dict.fromkeys(("first_event_at", "first_order_at", "last_order_at"), AN_HOUR_AGO)
    counts = {"is_identified": True, "order_count": 2, "paid_cents": 700, "refunded_cents": 0}
    rows = [{"customer_id": customer_id, **times, **counts} for customer_id in customer_ids]
    shop.lake.replace(CUSTOMERS, pa.Table.from_pylist(rows, CUSTOMERS.schema()))
    shop.lake.replace(IDENTITIES, IDENTITIES.empty())
    run = Run.at(NOW)
    features = {"run_id": run.run_id, "customer_id": "c", "as_of": NOW, "feature_version": "1"}
    features |= {"order_day_count_lifetime": 3, "days_from_first_to_last_order": 60}
    shop.lake.replace(FEATURES, pa.Table.from_pylist([features]))
    row = {"run_id": run.run_id, "as_of": NOW, "finished_at": NOW, "seconds": 1.0, "seed": 1, "policy_version": "1"}
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row | {"table_versions": versions, "summary": {}}))


def id_of(shop, user):
    return lookup_customer(shop, user, now=NOW).customer_id


def test_a_customer_no_run_has_covered_is_shown_with_live_data(shop):
    send(shop, "a", "b")
    found = customer_now(AnswerCache(shop), id_of(shop, "u1"), now=NOW)
    assert isinstance(found, NewCustomer)
    assert (found.customer_id, found.live.event_count) == (id_of(shop, "u1"), 2)


def test_who_came_after_the_last_run_is_new_and_who_was_there_has_a_card(shop):
    send(shop, "a")
    known = id_of(shop, "u1")
    finish_run(shop, known)
    send(shop, "b", "c", "d", user="u2")
    card, new = (customer_now(AnswerCache(shop), one, now=NOW) for one in (known, id_of(shop, "u2")))
    assert isinstance(card, CustomerCard)
    assert (card.order_count, card.paid_cents, card.live.event_count) == (2, 700, 1)
    assert isinstance(new, NewCustomer)
    assert new.live.event_count == 3


def test_what_happens_after_a_run_changes_what_is_live_and_not_the_facts(shop):
    send(shop, "a")
    known = id_of(shop, "u1")
    finish_run(shop, known)
    before = customer_now(AnswerCache(shop), known, now=NOW)
    send(shop, "b", "c")
    after = customer_now(AnswerCache(shop), known, now=NOW)
    assert (before.live.event_count, after.live.event_count) == (1, 3)
    assert replace(after, live=None) == replace(before, live=None) == customer_card(shop, known)


def test_who_is_known_to_a_run_only_has_a_card_without_anything_live(shop):
    finish_run(shop, "imported")
    card = customer_now(AnswerCache(shop), "imported", now=NOW)
    assert (card.customer_id, card.paid_cents, card.live) == ("imported", 700, None)


def test_an_unknown_customer_is_not_found_and_before_a_run_the_answer_says_so(shop):
    send(shop, "a")
    with pytest.raises(NoRunYet):
        customer_now(AnswerCache(shop), "nobody", now=NOW)
    finish_run(shop, "somebody")
    with pytest.raises(NotFound, match="no customer has this id"):
        customer_now(AnswerCache(shop), "nobody", now=NOW)
