"""A customer's card is what the run's tables say of them and of nobody else."""

from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from patron.answers.customers.customer_profile import MONTHS, customer_card
from patron.answers.customers.customer_timeline import KINDS, TIMELINE_LENGTH, customer_timeline
from patron.answers.models.models import UNITS
from patron.schema.errors import NotFound
from patron.storage.store.store import RUNS


@pytest.fixture(scope="module")
def who(rows_of_last):
    """Somebody with a decision, a refund, a trait and many orders."""
    decided = {row["customer_id"] for row in rows_of_last("decisions")}
    declared = {row["customer_id"] for row in rows_of_last("traits")}
    known = [row for row in rows_of_last("customers") if row["customer_id"] in decided & declared]
    return max((row for row in known if row["refunded_cents"]), key=lambda row: row["order_count"])["customer_id"]


@pytest.fixture(scope="module")
def card(made_shop, who):
    return customer_card(made_shop, who)


@pytest.fixture(scope="module")
def rows_of(rows_of_last, who):
    """Rows of the customer in a table, as of the last run."""
    return lambda name: [row for row in rows_of_last(name) if row["customer_id"] == who]


def test_the_facts_are_those_of_the_customer(card, rows_of, made_shop):
    (facts,), (segment,) = rows_of("customers"), rows_of("segments")
    for name in ("first_event_at", "first_order_at", "last_order_at", "order_count", "paid_cents", "refunded_cents"):
        assert getattr(card, name) == facts[name]
    for name in ("lifecycle_stage", "recency_score", "frequency_score", "monetary_score"):
        assert getattr(card, name) == segment[name]
    zone = ZoneInfo(made_shop.settings.shop.time_zone)
    days = (moment.astimezone(zone).toordinal() for moment in (card.as_of, facts["last_order_at"]))
    assert card.days_since_last_order == next(days) - next(days), "calendar days, as a reason counts them"
    assert (card.user_id_count, card.device_count) == (1, 0)


def test_months_hold_everything_paid_in_the_year_before_the_run(card, rows_of):
    assert len(card.months) == MONTHS
    assert {later.starts_at - earlier.starts_at for earlier, later in pairwise(card.months)} == {timedelta(days=30)}
    assert card.months[-1].starts_at + timedelta(days=30) == card.as_of
    lines = rows_of("order_lines")
    for month in card.months:
        until = month.starts_at + timedelta(days=30)
        assert month.paid_cents == sum(
            row["paid_cents"] for row in lines if month.starts_at <= row["ordered_at"] < until
        )
    assert sum(month.paid_cents for month in card.months) == card.paid_cents


def test_forecasts_are_in_the_order_of_the_questions_with_their_unit(card, rows_of):
    expected = {row["question"]: row for row in rows_of("scores")}
    assert [score.question for score in card.scores] == [name for name in UNITS if name in expected]
    for score in card.scores:
        row = expected[score.question]
        assert (score.value, score.low, score.high) == (row["value"], row["low"], row["high"])
        assert list(score.reasons) == row["reasons"]
        assert score.unit == UNITS[score.question]


def test_recommendations_come_best_first_with_their_products(card, rows_of, rows_of_last):
    expected = sorted(rows_of("recommendations"), key=lambda row: row["rank"])
    products = {row["product_id"]: row for row in rows_of_last("products")}
    assert [recommendation.product_id for recommendation in card.recommendations] == [
        row["product_id"] for row in expected
    ]
    for recommendation in card.recommendations:
        assert (recommendation.product_name, recommendation.price_cents) == (
            products[recommendation.product_id]["product_name"],
            products[recommendation.product_id]["price_cents"],
        )


def test_decisions_are_those_of_this_run_and_earlier_ones_the_latest_first(card, last, who):
    expected = [row for row in last.read("decisions").to_pylist() if row["customer_id"] == who]
    assert [decision.run_id for decision in card.decisions] == sorted((row["run_id"] for row in expected), reverse=True)
    assert card.decisions[0].run_id == last.run.run_id


def test_the_timeline_ends_with_the_latest_and_holds_orders_refunds_and_messages(made_shop, card, rows_of):
    first = customer_timeline(made_shop, card.customer_id)
    pages = [customer_timeline(made_shop, card.customer_id, page=page + 1) for page in range(first.page_count)]
    timeline = [entry for page in pages for entry in page.entries]
    assert tuple(timeline[:TIMELINE_LENGTH]) == card.timeline
    times = [entry.occurred_at for entry in timeline]
    assert times == sorted(times, reverse=True)
    assert len(times) == first.total_count == sum(first.counts[kind] for kind in KINDS[1:])
    lines = rows_of("order_lines")
    refunds = [entry for entry in timeline if entry.kind == "refund"]
    refunded = {row["order_id"] for row in lines if row["is_refund"]}
    assert len(refunds) == len(refunded) > 0
    by_order = {}
    for row in lines:
        if not row["is_refund"]:
            by_order[row["order_id"]] = by_order.get(row["order_id"], 0) + row["paid_cents"]
    orders = [entry for entry in timeline if entry.kind == "order"]
    assert len(orders) > 3
    assert all(entry.paid_cents in by_order.values() for entry in orders)


@pytest.fixture(scope="module")
def small_shop(snapshot_of, order_of, this_run):
    """A finished run of a shop with one customer of sixty orders, and one who never ordered."""
    orders = [("often", this_run.as_of - timedelta(days=day), 100 + day) for day in range(1, 61)]
    tables = order_of(*orders, refunds=[(0, 50)])
    known = {"is_identified": True, "first_event_at": this_run.as_of - timedelta(days=9), "paid_cents": 0}
    tables["customers"].append({"customer_id": "never", **known, "order_count": 0, "refunded_cents": 0})
    view = snapshot_of(**tables)
    finished = {"run_id": this_run.run_id, "as_of": this_run.as_of, "finished_at": this_run.as_of, "seconds": 1.0}
    with view.store.begin() as connection:
        row = finished | {"seed": this_run.seed, "policy_version": "", "table_versions": view.pinned, "summary": {}}
        connection.execute(sa.insert(RUNS).values(row))
    return view.shop


def test_a_long_timeline_keeps_its_latest_part(small_shop, this_run):
    entries = customer_card(small_shop, "often").timeline
    assert len(entries) == TIMELINE_LENGTH
    assert (entries[0].kind, entries[0].paid_cents) == ("refund", -50)
    assert [entry.paid_cents for entry in entries[1:]] == [100 + day for day in range(1, TIMELINE_LENGTH)]
    assert entries[-1].occurred_at == this_run.as_of - timedelta(days=TIMELINE_LENGTH - 1)


def test_who_has_not_ordered_has_a_card_without_orders(small_shop):
    found = customer_card(small_shop, "never")
    assert (found.order_count, found.days_since_last_order, found.last_order_at) == (0, None, None)
    assert (found.scores, found.decisions, found.timeline, found.recommendations) == ((), (), (), ())
    assert (found.lifecycle_stage, found.persona_code, found.value_parts) == (None,) * 3
    assert [month.paid_cents for month in found.months] == [0] * MONTHS


def test_only_the_newest_value_of_a_trait_counts(made_shop, rows_of_last):
    declared = {}
    for row in sorted(rows_of_last("traits"), key=lambda row: row["known_at"]):
        declared.setdefault(row["customer_id"], {})[row["trait"]] = row["value"]
    one = next(iter(declared))
    assert {trait.trait: trait.value for trait in customer_card(made_shop, one).traits} == declared[one]


@pytest.mark.parametrize("nobody", ["", "nobody", "' or 1=1 --"])
def test_an_id_that_nobody_has_is_not_found(made_shop, nobody):
    with pytest.raises(NotFound, match="no customer has this id"):
        customer_card(made_shop, nobody)


@pytest.mark.usefixtures("small_shop")  # its run is the one that is read
def test_an_entry_names_a_category_only_where_all_of_it_has_that_one(snapshot_of, order_of, this_run):
    at = this_run.as_of - timedelta(days=1)
    tables = order_of(("a", at, 100), ("a", at - timedelta(days=1), 100))
    first, second = tables["order_lines"]
    tables["order_lines"] = [
        first | {"category": "Tea"},
        first | {"category": "Cups", "line_id": "other"},
        second | {"category": "Tea"},
        second | {"category": "Tea", "line_id": "another"},
    ]
    view = snapshot_of(**tables)
    with view.store.begin() as connection:
        connection.execute(sa.update(RUNS).values(table_versions=view.pinned))
    timeline = customer_card(view.shop, "a").timeline
    assert [(entry.detail, entry.count) for entry in timeline] == [(None, 2), ("Tea", 2)]
