"""Reasons of customers and of the whole shop are what the run's tables say."""

from datetime import timedelta

import pyarrow as pa

from patron.answers.customers.customer_profile import customer_card
from patron.answers.customers.watch_list import watch_list
from patron.answers.models.churn_drivers import churn_drivers, partial_dependence
from patron.answers.models.churn_reasons import churn_reasons
from patron.answers.models.models import models_of

EVERYBODY = 10_000


def reason(run, customer_id, rank, code, **more):
    base = {"run_id": run.run_id, "question": "churn", "contribution": 0.5, "fact": 9.0, "usual": 2.0, "basis": "shop"}
    return base | {"customer_id": customer_id, "rank": rank, "code": code} | more


def test_reasons_are_those_of_the_customers_the_strongest_first(snapshot_of, this_run):
    rows = [
        reason(this_run, "a", 2, "returns", window_days=30, days_ago=4),
        reason(this_run, "a", 1, "overdue", days_ago=93),
        reason(this_run, "b", 1, "no_opens", of_count=6),
        reason(this_run, "c", 1, "overdue") | {"run_id": "2020-01-01"},
    ]
    view = snapshot_of(reasons=rows)
    why = churn_reasons(view, pa.table({"customer_id": ["a", "c"]}))
    assert why is not None
    assert {who: [one.code for one in reasons] for who, reasons in why.items()} == {"a": ["overdue", "returns"]}
    overdue, returns = why["a"]
    assert (overdue.since, overdue.help) == (this_run.as_of - timedelta(days=93), "remind")
    assert (returns.fact, returns.usual, returns.window_days, returns.days_ago) == (9.0, 2.0, 30, 4)


def test_a_run_without_reasons_differs_from_a_customer_without_one(snapshot_of, this_run):
    nobody = pa.table({"customer_id": pa.array([], pa.string())})
    assert churn_reasons(snapshot_of(), nobody) is None
    assert churn_reasons(snapshot_of(reasons=[reason(this_run, "a", 1, "overdue")]), nobody) == {}


def test_watch_list_and_customer_page_have_the_reasons_of_the_table(made_shop, last, rows_of_last):
    written = {}
    for row in sorted(rows_of_last("reasons"), key=lambda row: row["rank"]):
        written.setdefault(row["customer_id"], []).append((row["code"], row["fact"], row["usual"]))
    listed = [row for row in watch_list(last, limit=EVERYBODY) if row.churn_reasons is not None]
    assert listed
    assert any(not row.churn_reasons for row in listed)
    for row in listed:
        reasons = [(one.code, one.fact, one.usual) for one in row.churn_reasons]
        assert reasons == written.get(row.customer_id, [])
    who = next(iter(written))
    [churn] = [score for score in customer_card(made_shop, who).scores if score.question == "churn"]
    assert [(one.code, one.fact, one.usual) for one in churn.churn_reasons] == written[who]
    others = [score for score in customer_card(made_shop, who).scores if score.question != "churn"]
    assert {score.churn_reasons for score in others} == {None}


def test_drivers_come_by_size_and_those_without_a_reason_last(snapshot_of, this_run):
    def driver(code, count, contribution):
        row = {"run_id": this_run.run_id, "code": code, "customer_count": count, "share": count / 10}
        return row | {"mean_contribution": contribution, "mean_churn_probability": 0.8}

    points = [
        {"run_id": this_run.run_id, "question": "churn", "feature": feature, "value": value, "mean_forecast": mean}
        for feature, value, mean in [("weak", 1, 0.5), ("weak", 2, 0.6), ("strong", 3, 0.9), ("strong", 1, 0.2)]
    ]
    rows = [driver("none", 7, None), driver("returns", 1, 0.4), driver("overdue", 2, 0.6)]
    view = snapshot_of(churn_drivers=rows, partial_dependence=points)
    assert [(one.code, one.help) for one in churn_drivers(view)] == [
        ("overdue", "remind"),
        ("returns", "fix_return"),
        ("none", None),
    ]
    assert [(one.feature, one.points) for one in partial_dependence(view)] == [
        ("strong", ((1, 0.2), (3, 0.9))),
        ("weak", ((1, 0.5), (2, 0.6))),
    ]
    assert models_of(view).churn_drivers == churn_drivers(view)
