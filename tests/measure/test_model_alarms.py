"""Alarms of a run, from tables as understand, predict and the earlier runs leave them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron import measure
from patron.measure.feature_changes import FeatureChange
from patron.measure.forecast_checks import check_forecasts
from patron.measure.model_alarms import group_changes, write_model_alarms
from patron.run import stage_view
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

CUSTOMERS = [f"c{number:03}" for number in range(300)]
NOW = datetime(2025, 3, 1, tzinfo=UTC)
CUTOFFS = [NOW - timedelta(days=30 * back) for back in range(9, -1, -1)]


def put(shop, name, rows, run):
    shop.lake.replace(BY_NAME[name], pa.Table.from_pylist(rows), part=run.run_id)


def features_at(as_of, rng):
    """Views of half of the customers, of none at the last cutoff; carts as ever; days that grow with the calendar."""
    views = rng.poisson(4, len(CUSTOMERS)) * (rng.random(len(CUSTOMERS)) < 0.5) * (as_of < NOW)
    carts = rng.poisson(0.7, len(CUSTOMERS))
    for number, customer in enumerate(CUSTOMERS):
        yield {
            "run_id": Run.at(NOW).run_id,
            "customer_id": customer,
            "as_of": as_of,
            "feature_version": "v",
            "view_count_30_days": float(views[number]),
            "view_count_90_days": float(views[number]) * 2,
            "cart_add_count_30_days": float(carts[number]),
            "days_since_first_order": float((as_of - CUTOFFS[0]).days + number),
        }


def scores_of(run, rng, question, mean):
    values = rng.beta(20 * mean, 20 * (1 - mean), len(CUSTOMERS))
    same = {"run_id": run.run_id, "as_of": run.as_of, "question": question, "model_version": "m"}
    return [{**same, "customer_id": who, "value": float(value)} for who, value in zip(CUSTOMERS, values, strict=True)]


def orders_of(as_of, share):
    """An order line of some share of the customers soon after a cutoff."""
    at = as_of + timedelta(days=3)
    money = {"gross_cents": 100, "discount_cents": 0, "paid_cents": 100, "quantity": 1}
    flags = {"is_identified": True, "has_coupon": False, "has_price": True, "is_refund": False}
    when = {"ordered_at": at, "occurred_at": at, "known_at": at}
    for who in CUSTOMERS[: int(share * len(CUSTOMERS))]:
        yield {"line_id": f"{who}{at}", "order_id": f"{who}{at}", "customer_id": who, **money, **flags, **when}


@pytest.fixture(scope="module")
def alarms(tmp_path_factory):
    """By subject: views are lost at the last cutoff, scores of purchase doubled, and its last forecast was not met."""
    folder = tmp_path_factory.mktemp("alarms")
    rng = np.random.default_rng(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        Shop.create(folder / "w").close()
        shop = Shop.open(folder / "w")
        run = Run.at(NOW)
        put(shop, "features", [row for as_of in CUTOFFS for row in features_at(as_of, rng)], run)
        for as_of in CUTOFFS:
            earlier, mean = Run.at(as_of), 0.6 if as_of == NOW else 0.3
            put(
                shop,
                "scores",
                [*scores_of(earlier, rng, "purchase", mean), *scores_of(earlier, rng, "churn", 0.5)],
                earlier,
            )
        actual = {as_of: 0.1 if as_of == CUTOFFS[-2] else 0.3 for as_of in CUTOFFS[:-1]}
        lines = [line for as_of, share in actual.items() for line in orders_of(as_of, share)]
        shop.lake.replace(BY_NAME["order_lines"], pa.Table.from_pylist(lines, schema=BY_NAME["order_lines"].schema()))
        check_forecasts(stage_view(shop, measure, run=run))
        rows = write_model_alarms(stage_view(shop, measure, run=run)).to_pylist()
        yield {(row["kind"], row["subject"]): row for row in rows}
        shop.close()


def test_lost_views_are_one_alarm_with_its_source_and_the_features_that_went_with_it(alarms):
    [data] = [row for (kind, _), row in alarms.items() if kind == "data"]
    assert data["source"] == "views"
    assert {data["subject"], *data["related"]} == {"view_count_30_days", "view_count_90_days"}
    assert data["before"] == pytest.approx(0.49, abs=0.08)
    assert data["now"] == 0.0
    assert data["since"] == CUTOFFS[-2]
    assert data["customer_count"] == len(CUSTOMERS)


def test_scores_that_doubled_since_the_last_run_are_an_alarm_and_steady_ones_are_not(alarms):
    row = alarms["scores", "purchase"]
    assert row["before"] == pytest.approx(0.3, abs=0.02)
    assert row["now"] == pytest.approx(0.6, abs=0.02)
    assert ("scores", "churn") not in alarms


def test_a_forecast_that_was_not_met_is_an_alarm_with_forecast_and_actual(alarms):
    row = alarms["calibration", "purchase"]
    assert row["before"] == pytest.approx(0.3, abs=0.02)
    assert row["now"] == pytest.approx(0.1, abs=0.01)
    assert row["since"] == CUTOFFS[-2]
    assert row["value"] > row["allowed"]


def test_a_feature_of_one_source_leads_and_takes_those_of_several_with_it():
    changes = [
        FeatureChange("active_day_count_30_days", "share", 5.0, 0.25),
        FeatureChange("cart_adds_per_view_90_days", "size", 4.0, 0.25),
        FeatureChange("view_count_30_days", "share", 3.0, 0.25),
    ]
    [(source, group)] = group_changes(changes)
    assert (source, group[0].feature, len(group)) == ("views", "view_count_30_days", 3)


def test_amounts_that_changed_and_orders_that_stay_away_are_two_alarms():
    changes = [FeatureChange("paid_cents_30_days", part, 1.0, 0.25) for part in ("share", "size")]
    assert [source for source, _ in group_changes(changes)] == ["orders", "amounts"]
