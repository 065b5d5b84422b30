"""The shop stands to lose the usual spend of each customer times the probability that they leave."""

from datetime import timedelta

import pytest

from patron.predict.value.value_at_risk import USUAL_DAYS, build_value_at_risk
from patron.schema.tables import SCORES
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run


@pytest.fixture(scope="module")
def at_risk(built, order_line, score, value_run):
    lines = [
        order_line("regular", 1, 2_000),
        order_line("regular", USUAL_DAYS, 4_000),
        order_line("regular", USUAL_DAYS + 1, 70_000),
        order_line("returner", 20, 3_000),
        order_line("returner", 20, -1_000),
        order_line("returns all", 20, 3_000),
        order_line("returns all", 20, -3_000),
        order_line("lapsed", USUAL_DAYS + 5, 9_000),
        order_line("device", 5, 1_000, is_identified=False),
        order_line("unscored", 5, 1_000),
        order_line("certain", 5, 1_000),
    ]
    risks = {"regular": 0.25, "returner": 0.5, "returns all": 0.9, "lapsed": 0.9, "device": 0.4, "certain": 0.0}
    earlier = Run.at(value_run.as_of - timedelta(days=30))
    return built(
        build_value_at_risk,
        "value_at_risk",
        order_lines=lines,
        scores=[
            *(score("churn", who, risk) for who, risk in risks.items()),
            *(score("value", who, 7_777.0) for who in risks),
            score("churn", "unscored", 0.5, earlier),
            score("churn", "regular", 0.99, earlier),
        ],
    )


def test_the_usual_value_is_half_of_the_net_spend_of_the_last_180_days(at_risk):
    usual = {who: row["usual_cents"] for who, row in at_risk.items()}
    assert usual == {"regular": 3_000, "returner": 1_000, "certain": 500}


def test_value_at_risk_is_the_usual_spend_times_the_churn_probability_of_this_run(at_risk):
    assert at_risk["regular"]["churn_probability"] == 0.25
    for row in at_risk.values():
        assert row["value_at_risk_cents"] == pytest.approx(row["churn_probability"] * row["usual_cents"])
    assert at_risk["certain"]["value_at_risk_cents"] == 0


def test_nothing_is_at_risk_where_nobody_is_known_or_nothing_was_kept(at_risk):
    assert not {"device", "unscored", "lapsed", "returns all"} & set(at_risk)


def test_nobody_can_cost_the_shop_more_than_they_usually_spend(made_shop):
    view = last_run(made_shop)
    rows = view.read("value_at_risk").to_pylist()
    churn = {
        row["customer_id"]: row["value"]
        for row in made_shop.lake.read(SCORES).to_pylist()
        if row["question"] == "churn" and row["run_id"] == view.run.run_id
    }
    assert len(rows) > 100
    assert all(0 <= row["value_at_risk_cents"] <= row["usual_cents"] for row in rows)
    assert all(row["churn_probability"] == churn[row["customer_id"]] for row in rows)
