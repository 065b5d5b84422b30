"""Why customers leave, for the whole shop: counts of first reasons, and what a feature does to the mean forecast."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from patron.predict import READS, WRITES
from patron.predict.churn.churn_drivers import QUANTILES, churn_drivers, partial_dependence
from patron.schema.models.questions import CHURN
from patron.schema.table_checks import validated
from patron.schema.tables import CHURN_DRIVERS, PARTIAL_DEPENDENCE, REASONS
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    shop = Shop.create(tmp_path_factory.mktemp("drivers") / "w")
    return shop.view(READS, WRITES, run=Run.at(datetime(2024, 6, 1, tzinfo=UTC)))


def reason(customer_id, rank, code, contribution):
    of_run = {"run_id": "r", "question": "churn", "basis": "shop", "fact": 1.0, "usual": 2.0}
    return of_run | {"customer_id": customer_id, "rank": rank, "code": code, "contribution": contribution}


def test_customers_count_by_their_first_reason_and_those_without_any_are_told_apart(view):
    scores = pa.table({"customer_id": ["a", "b", "c", "d", "e"], "value": [0.9, 0.7, 0.8, 0.6, 0.1]})
    rows = [reason("a", 1, "overdue", 2.0), reason("a", 2, "returns", 1.0), reason("b", 1, "overdue", 1.0)]
    reasons = pa.Table.from_pylist([*rows, reason("c", 1, "returns", 0.5)], schema=REASONS.schema())
    drivers = {row["code"]: row for row in churn_drivers(view, scores, reasons).to_pylist()}
    assert {code: row["customer_count"] for code, row in drivers.items()} == {"overdue": 2, "returns": 1, "none": 1}
    assert (drivers["overdue"]["share"], drivers["overdue"]["mean_contribution"]) == (0.5, 1.5)
    assert drivers["overdue"]["mean_churn_probability"] == pytest.approx(0.8)
    assert drivers["none"]["mean_contribution"] is None
    assert validated(CHURN_DRIVERS, churn_drivers(view, scores, reasons)).num_rows == 3


def test_a_run_without_reasons_has_no_drivers(view):
    scores = pa.table({"customer_id": ["a"], "value": [0.9]})
    assert churn_drivers(view, scores, REASONS.empty()).num_rows == 0


class Line:
    """Forecasts that rise with one feature and fall with another; a trait moves them most."""

    def predict(self, table):
        recency, orders = (table[name].to_numpy() for name in ("days_since_last_order", "order_count_90_days"))
        return pa.table({"forecast": 0.2 + recency / 1000 - orders / 100})

    def contributions(self, table):
        sizes = [table["days_since_last_order"].to_numpy() / 1000, -table["order_count_90_days"].to_numpy() / 100]
        names = ("days_since_last_order", "order_count_90_days", "declared_country=DE")
        return names, np.column_stack([*sizes, np.full(table.num_rows, 9.0)])


def test_a_feature_is_set_to_its_own_quantiles_and_the_others_stay(view):
    orders = np.tile([0.0, 2.0], 101)[:101]
    rows = pa.table({"days_since_last_order": np.arange(101.0), "order_count_90_days": orders})
    table = validated(PARTIAL_DEPENDENCE, partial_dependence(view, CHURN, Line(), rows))
    of_recency = [row for row in table.to_pylist() if row["feature"] == "days_since_last_order"]
    assert [row["value"] for row in of_recency] == pytest.approx([100 * share for share in QUANTILES])
    for row in of_recency:
        assert row["mean_forecast"] == pytest.approx(0.2 + row["value"] / 1000 - orders.mean() / 100)
    assert set(table["feature"].to_pylist()) == {"days_since_last_order", "order_count_90_days"}, "no traits"
    of_orders = [row["value"] for row in table.to_pylist() if row["feature"] == "order_count_90_days"]
    assert of_orders == sorted(set(of_orders)) == [0, 2]
