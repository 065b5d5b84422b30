"""Decide, engage and measure over several runs of a real workspace, meeting in tables only."""

import csv
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron import decide, engage, measure
from patron.decide.offers import decide_offers
from patron.decide.recommendations import write_recommendations
from patron.engage.run_delivery import deliver
from patron.govern.vault import Vault
from patron.measure.drift import measure_drift
from patron.measure.effect_measurement import measure_effects
from patron.measure.forecast_checks import check_forecasts
from patron.measure.offer_responses import measure_offer_responses
from patron.run import stage_view
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

CUSTOMERS = 500
ANSWERING = {f"c{n:04}" for n in range(0, CUSTOMERS, 3)}
"""Customers who open most messages, and who answer offers where offers are answered."""
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
RUNS = [Run.at(FIRST + timedelta(days=30 * n)) for n in range(4)]
POLICY = """
[consent]
unknown = "allow"
[channel]
confirm = "{confirm}"
[budget]
amount = 500
[[offers]]
id = "TEN"
discount_share = 0.1
contact_cost_cents = 5
assumed_purchase_uplift = 0.08
"""


def put(shop, name, rows, run=None):
    table = BY_NAME[name]
    shop.lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema()), part=run and run.run_id)


def understood(shop, run):
    """What understand and predict would have written for a run."""
    rng = np.random.default_rng(int(run.as_of.timestamp()))
    mark = {"run_id": run.run_id, "as_of": run.as_of}
    marked = [{**mark, "customer_id": f"c{n:04}"} for n in range(CUSTOMERS)]
    scored = [
        {**row, "question": question, "model_version": "m", "value": float(value)}
        for row in marked
        for question, value in (("value", rng.gamma(1.0, 3_000)), ("churn", rng.random()), ("purchase", rng.random()))
    ]
    ranks = {
        "recency_score": 1,
        "frequency_score": 1,
        "monetary_score": 1,
        "persona_id": 0,
        "lifecycle_stage": "at_risk",
    }
    put(shop, "segments", [{**row, **ranks} for row in marked], run)
    put(shop, "scores", scored, run)
    listed = [{"rank": r, "product_id": f"p{r}", "score": 1.0 / r, "reason": "popular_now"} for r in range(1, 13)]
    put(shop, "products", [{"product_id": one["product_id"], "known_at": FIRST} for one in listed])
    put(shop, "affinities", [{**row, **one, "model_version": "m"} for row in marked[:50] for one in listed], run)
    kind = {"feature_version": "v", "message_sent_count_lifetime": 10}
    rows = [
        {
            **row,
            **kind,
            "days_since_last_order": float(rng.gamma(2.0, 20.0)),
            "message_opened_count_lifetime": 6 if row["customer_id"] in ANSWERING else 1,
        }
        for row in marked
    ]
    shop.lake.replace(BY_NAME["features"], pa.Table.from_pylist(rows), part=run.run_id)


def sold(shop):
    """A purchase of each customer every ten days or so, whatever we offer."""
    rng = np.random.default_rng(4)
    lines = []
    for n in range(CUSTOMERS):
        for day in np.cumsum(rng.exponential(10, 25)) - 90:
            at, gross = FIRST + timedelta(days=float(day)), int(rng.gamma(2.0, 1_500)) + 1
            money = {"gross_cents": gross, "discount_cents": 0, "paid_cents": gross}
            flags = {"is_identified": True, "has_coupon": False, "has_price": True, "is_refund": False}
            when = {"ordered_at": at, "occurred_at": at, "known_at": at, "quantity": 1, "customer_id": f"c{n:04}"}
            lines.append({"line_id": f"l{len(lines)}", "order_id": f"o{len(lines)}", **when, **money, **flags})
    put(shop, "order_lines", lines)
    counts = {"line_count": 1, "product_count": 1, "unit_count": 1, "local_hour": 1, "local_weekday": 1, "local_day": 1}
    names = BY_NAME["orders"].schema().names
    put(shop, "orders", [{k: v for k, v in {**line, **counts}.items() if k in names} for line in lines])


@pytest.fixture
def shop(tmp_path, monkeypatch, request):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    confirm = "automatic" if getattr(request, "param", False) else "manual"
    Shop.create(tmp_path / "shop").close()
    (tmp_path / "shop" / "policy.toml").write_text(POLICY.format(confirm=confirm), encoding="utf-8")
    shop = Shop.open(tmp_path / "shop")
    tokens = (
        Vault.open(shop).store_tokens("user_id", pa.array([f"shop-{n}" for n in range(CUSTOMERS)]), FIRST).to_pylist()
    )
    known = {"is_user": True, "known_at": FIRST}
    put(shop, "identities", [{"token": t, "customer_id": f"c{n:04}", **known} for n, t in enumerate(tokens)])
    sold(shop)
    yield shop
    shop.close()


def run_once(shop, run):
    understood(shop, run)
    view = stage_view(shop, measure, run=run)
    for measure_table in (measure_effects, measure_offer_responses, check_forecasts, measure_drift):
        measure_table(view)
    view = stage_view(shop, decide, run=run)
    decided = decide_offers(view)
    write_recommendations(view)
    return decided, deliver(stage_view(shop, engage, run=run))


def read(shop, name, run):
    rows = shop.view([name], [], run=run).read(name).to_pylist()
    return [row for row in rows if row["run_id"] == run.run_id]


@pytest.mark.parametrize("shop", [False, True], indirect=True)
def test_runs_decide_hand_over_and_measure(shop):
    for run in RUNS:
        decided, engaged = run_once(shop, run)
    offered = [row for row in decided.to_pylist() if row["action"] != "none"]
    assert sum(row["cost_cents"] for row in offered) <= 50_000
    assert engaged.outbox.offer_count == len(offered)
    assert engaged.events.num_rows == (len(offered) if shop.policy.channel.confirm == "automatic" else 0)
    with (shop.folder / engaged.outbox.files[0]).open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert {row["decision_id"] for row in listed} == {row["decision_id"] for row in offered}
    assert all(row["user_id"].startswith("shop-") for row in listed)
    effects = read(shop, "effects", RUNS[-1])
    overall = next(row for row in effects if row["offer"] == "any")
    assert overall["low"] < 0 < overall["high"]  # sales do not depend on offers here
    assert {row["is_placebo"] for row in effects} == {shop.policy.channel.confirm == "manual"}
    checks = read(shop, "forecast_checks", RUNS[-1])
    assert {row["question"] for row in checks} == {"value", "churn", "purchase"}
    assert "days_since_last_order" in {row["feature"] for row in read(shop, "drift", RUNS[-1])}
    is_sent = shop.policy.channel.confirm == "automatic"
    assert bool(read(shop, "offer_responders", RUNS[-1])) == is_sent, "a placebo teaches nothing"
    assert len(read(shop, "recommendations", RUNS[-1])) == 50 * 10


@pytest.mark.parametrize("shop", [False], indirect=True)
def test_a_rerun_of_a_run_ends_the_same(shop):
    run_once(shop, RUNS[0])
    first, engaged = run_once(shop, RUNS[1])
    files = [(shop.folder / name).read_bytes() for name in engaged.outbox.files]
    again, engaged_again = run_once(shop, RUNS[1])
    assert first.equals(again)
    assert engaged.events.equals(engaged_again.events)
    assert files == [(shop.folder / name).read_bytes() for name in engaged_again.outbox.files]
    assert len(read(shop, "decisions", RUNS[1])) == CUSTOMERS


@pytest.mark.parametrize("shop", [False], indirect=True)
def test_the_cap_holds_over_runs_and_the_holdout_stays(shop):
    early = Run.at(FIRST + timedelta(days=7))
    first, _ = run_once(shop, RUNS[0])
    second, _ = run_once(shop, early)
    offered = [{row["customer_id"] for row in rows.to_pylist() if row["action"] != "none"} for rows in (first, second)]
    assert offered[0]
    assert not offered[0] & offered[1]
    held = [{row["customer_id"] for row in rows.to_pylist() if row["is_holdout"]} for rows in (first, second)]
    assert held[0] == held[1]
    assert not held[0] & (offered[0] | offered[1])


@pytest.mark.parametrize("shop", [True], indirect=True)
def test_who_showed_no_sign_of_life_for_long_is_not_considered(shop):
    policy = shop.folder / "policy.toml"
    policy.write_text(policy.read_text(encoding="utf-8") + "[at_risk]\nactive_within_days = 90\n", encoding="utf-8")
    run, strict = RUNS[0], Shop.open(shop.folder)
    understood(strict, run)
    inactive_days = {f"c{n:04}": float(n) for n in range(CUSTOMERS)}
    mark = {"run_id": run.run_id, "as_of": run.as_of, "feature_version": "v"}
    rows = [{**mark, "customer_id": one, "days_since_last_activity": days} for one, days in inactive_days.items()]
    strict.lake.replace(BY_NAME["features"], pa.Table.from_pylist(rows), part=run.run_id)
    decided = decide_offers(stage_view(strict, decide, run=run))
    strict.close()
    assert decided["customer_id"].to_pylist() == [one for one, days in inactive_days.items() if days <= 90]


@pytest.mark.parametrize("shop", [False], indirect=True)
def test_the_propensities_of_a_decision_sum_to_one_and_hold_that_of_its_action(shop):
    decided, _ = run_once(shop, RUNS[0])
    chances = {}
    for row in read(shop, "propensities", RUNS[0]):
        chances.setdefault(row["decision_id"], {})[row["action"]] = row["propensity"]
    drawn = [row for row in decided.to_pylist() if row["propensity"] < 1]
    assert {row["decision_id"] for row in drawn} == chances.keys()
    assert all(chances[row["decision_id"]][row["action"]] == row["propensity"] for row in drawn)
    assert all(sum(of_one.values()) == pytest.approx(1.0) for of_one in chances.values())


def order_after_offers(shop, decided):
    """One order more, with the code, in the window of each customer who answers the offer."""
    lines = shop.lake.read(BY_NAME["order_lines"]).to_pylist()
    base = {**lines[0], "has_coupon": True, "coupon": "TEN", "gross_cents": 3_000, "discount_cents": 300}
    for row in decided.to_pylist():
        if row["action"] == "TEN" and row["customer_id"] in ANSWERING:
            at = row["as_of"] + timedelta(days=3)
            key = f"more-{row['decision_id']}"
            when = {"ordered_at": at, "occurred_at": at, "known_at": at, "customer_id": row["customer_id"]}
            lines.append({**base, **when, "line_id": key, "order_id": key, "paid_cents": 2_700})
    put(shop, "order_lines", lines)


@pytest.mark.parametrize("shop", [True], indirect=True)
def test_a_run_learns_who_answers_offers_and_expects_more_of_them(shop):
    for run in RUNS[:3]:
        order_after_offers(shop, run_once(shop, run)[0])
    run_once(shop, RUNS[3])
    first, second = read(shop, "offer_response_classes", RUNS[3])
    assert first["offer"] == second["offer"] == "TEN"
    expected = np.mean([row["expected_orders"] for row in read(shop, "offer_responders", RUNS[3])])
    added = [(one["order_factor"] - one["usual_factor"]) * expected + one["extra_orders"] for one in (first, second)]
    assert added[0] == pytest.approx(1.0, abs=0.3)
    assert added[1] == pytest.approx(0.0, abs=0.3)
    assert first["opened_share"] == pytest.approx(0.6, abs=0.05)
    probability = {r["customer_id"]: r["answering_probability"] for r in read(shop, "offer_responders", RUNS[3])}
    assert min(probability[customer] for customer in ANSWERING) > 0.9
    assert max(probability[customer] for customer in probability.keys() - ANSWERING) < 0.1
    gained = {True: [], False: []}
    for row in read(shop, "alternatives", RUNS[3]):
        gained[row["customer_id"] in ANSWERING].append(row["effect_cents"])
    assert np.mean(gained[True]) > 1.5 * np.mean(gained[False])


@pytest.mark.parametrize("shop", [True], indirect=True)
def test_decisions_without_a_forecast_teach_nothing_about_offers(shop):
    run_once(shop, RUNS[0])
    forecasts = [row for row in shop.lake.read(BY_NAME["scores"]).to_pylist() if row["question"] != "purchase"]
    put(shop, "scores", forecasts, RUNS[0])
    run_once(shop, RUNS[1])
    run_once(shop, RUNS[2])
    offered = [row for row in read(shop, "decisions", RUNS[1]) if row["action"] != "none"]
    assert len(offered) < 200, "with those of the first run they would be enough"
    assert read(shop, "offer_response_classes", RUNS[2]) == []


@pytest.mark.parametrize("shop", [True], indirect=True)
def test_who_refuses_personal_offers_is_in_no_class(shop):
    for run in RUNS[:2]:
        run_once(shop, run)
    refusal = {"purpose": "personalisation", "is_granted": False, "is_latest": True, "decided_at": FIRST}
    names = BY_NAME["consents"].schema().names
    refusal |= {"customer_id": "c0001", "known_at": FIRST, "occurred_at": FIRST, "basis": "consent"}
    put(shop, "consents", [{name: value for name, value in refusal.items() if name in names}])
    run_once(shop, RUNS[2])
    classed = {row["customer_id"] for row in read(shop, "offer_responders", RUNS[2])}
    assert len(classed) == CUSTOMERS - 1
    assert "c0001" not in classed
