"""What a customer needs next is what the run's tables say, with when they last bought it."""

from datetime import timedelta

import pytest

from patron.answers.customers.category_needs import MAX_CATEGORIES, category_forecasts
from patron.answers.customers.customer_profile import customer_card
from patron.answers.insight.overview import overview
from patron.answers.models.models import models


def test_needs_are_those_of_the_customer_the_likeliest_first(made_shop, rows_of_last):
    who = rows_of_last("category_needs")[4]["customer_id"]
    expected = [row for row in rows_of_last("category_needs") if row["customer_id"] == who]
    lines = [row for row in rows_of_last("order_lines") if row["customer_id"] == who and not row["is_refund"]]
    card = customer_card(made_shop, who)
    assert [need.rank for need in card.needs] == [1, 2]
    for need, row in zip(card.needs, sorted(expected, key=lambda one: one["rank"]), strict=True):
        for name in ("category", "probability", "expected_cents", "usual_gap_days", "reason"):
            assert getattr(need, name) == row[name]
        bought = [line["ordered_at"] for line in lines if line["category"] == row["category"]]
        assert need.last_bought_at == max(bought, default=None)
    assert card.needs[0].due_at == card.as_of + timedelta(days=22.5)
    assert card.needs[1].due_at is None


def test_the_shop_lists_the_categories_with_the_most_expected_spend(made_shop, rows_of_last):
    shown = overview(made_shop).category_forecasts
    cents = [one.expected_cents for one in shown]
    assert cents == sorted((row["expected_cents"] for row in rows_of_last("category_forecasts")), reverse=True)


@pytest.mark.parametrize("cents", [100, None])
def test_ten_categories_at_most_are_listed(snapshot_of, this_run, cents):
    rows = [
        {
            "run_id": this_run.run_id,
            "category": f"c{n:02d}",
            "expected_customers": float(n),
            "due_customer_count": n,
            "expected_cents": cents,
        }
        for n in range(15)
    ]
    shown = category_forecasts(snapshot_of(category_forecasts=rows))
    assert [one.category for one in shown] == [f"c{n:02d}" for n in range(14, 14 - MAX_CATEGORIES, -1)]


def test_the_models_page_counts_who_has_a_forecast_by_category(made_shop, rows_of_last):
    by_name = {question.question: question for question in models(made_shop).questions}
    customers = {row["customer_id"] for row in rows_of_last("category_needs")}
    for name in ("category_purchase", "category_spend"):
        assert by_name[name].scored_count == len(customers)
        assert by_name[name].model_version.startswith(f"{name}/")
