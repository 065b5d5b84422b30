"""Overview and report are what the answers they are made of say; before a run nobody gets an answer."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from patron.answers.customers.customer_list import CustomerQuery, find_customers
from patron.answers.customers.customer_profile import customer_card
from patron.answers.customers.watch_list import watch_list, watch_list_total
from patron.answers.data.data_quality import data_quality
from patron.answers.insight.overview import overview, overview_of
from patron.answers.insight.report import Coverage, coverage, report
from patron.answers.insight.revenue import cohorts, key_figures, windows
from patron.answers.models.backtest_results import backtest
from patron.answers.models.models import models
from patron.answers.offers.offer_results import decision_summary, effects
from patron.answers.segments.segments_overview import lifecycle_stages, personas, value_spread
from patron.schema.data.refunds import LaterRefunds
from patron.schema.errors import NoRunYet

ANSWERS = {
    "overview": overview,
    "report": report,
    "models": models,
    "data_quality": data_quality,
    "backtest": backtest,
    "customer_card": lambda shop: customer_card(shop, "anybody"),
    "find_customers": lambda shop: find_customers(shop, CustomerQuery()),
}


@pytest.fixture(scope="module")
def whole(made_shop):
    return report(made_shop)


@pytest.mark.parametrize("name", ANSWERS)
def test_before_a_run_has_completed_the_answer_says_what_to_do(shop, name):
    with pytest.raises(NoRunYet, match="no run of the loop has completed"):
        ANSWERS[name](shop)


def test_the_overview_says_what_each_answer_says(made_shop, last):
    found = overview(made_shop)
    assert found.key_figures == key_figures(last)
    assert found.weeks == windows(last, days=7, count=52)
    assert found.lifecycle_stages == lifecycle_stages(last)
    assert found.personas == personas(last)
    assert found.value == value_spread(last)
    assert found.watch_list == watch_list(last)
    assert found.watch_list_total == watch_list_total(last)
    assert found.decisions == decision_summary(last)
    assert found.effects == effects(last)
    assert set(found.offer_names) == {offer.id for offer in last.policy.offers if offer.name}


def test_all_parts_of_the_report_are_of_one_run(whole, last):
    assert {whole.overview.run_id, whole.models.run_id, whole.quality.run_id, whole.example.run_id} == {last.run.run_id}
    assert whole.cohorts == cohorts(last)


def test_the_example_is_who_has_the_most_value_at_risk(whole):
    assert whole.example.customer_id == whole.overview.watch_list[0].customer_id
    assert whole.example.recommendations


def test_coverage_counts_what_the_data_holds(last, rows_of_last):
    found = coverage(last)
    orders = rows_of_last("orders")
    assert found.order_count == len(orders)
    assert found.line_count == len(rows_of_last("order_lines"))
    assert found.customer_count == len({row["customer_id"] for row in orders})
    assert found.message_count == len(rows_of_last("interactions"))
    assert (found.visit_count, found.has_refunds, found.has_delivered_offers) == (0, True, False)
    assert found.missing == ("clickstream", "delivered_offers", "long_history")


def test_refunds_that_became_known_after_the_cutoff_are_no_missing_refunds(snapshot_of, this_run):
    known = this_run.as_of + timedelta(days=3)
    later = {"refund_count": 7, "refund_cents": 7841, "first_known_at": known, "last_known_at": known}
    found = snapshot_of(later_refunds=[later | {"run_id": this_run.run_id}])
    assert coverage(found).has_refunds
    assert "refunds" not in coverage(found).missing
    assert overview_of(found).later_refunds == LaterRefunds(**later)
    other = snapshot_of(later_refunds=[later | {"run_id": "2024-05-01"}])
    assert (overview_of(other).later_refunds, "refunds" in coverage(other).missing) == (None, True)


def test_an_empty_shop_covers_nothing(snapshot_of):
    found = coverage(snapshot_of())
    assert (found.order_count, found.customer_count, found.line_count, found.first_order_at) == (0, 0, 0, None)
    assert len(found.missing) == 7


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"visit_count": 0}, "clickstream"),
        ({"message_count": 0}, "messages"),
        ({"has_products": False}, "products"),
        ({"has_prices": False}, "prices"),
        ({"has_refunds": False}, "refunds"),
        ({"has_delivered_offers": False}, "delivered_offers"),
        ({"first_order_at": None}, "long_history"),
    ],
)
def test_gaps_of_the_data_are_reported_and_nothing_else(last, changed, code):
    found = coverage(last)
    full = {field_.name: True for field_ in fields(Coverage) if field_.name.startswith("has_")}
    whole = replace(found, **full, visit_count=1, message_count=1)
    whole = replace(whole, first_order_at=found.last_order_at - timedelta(days=700))
    assert whole.missing == ()
    assert replace(whole, **changed).missing == (code,)
