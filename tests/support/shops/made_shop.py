"""A small shop with two finished runs, filled by hand: fast data for whatever reads the last run."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron import measure, predict
from patron.measure.cohorts import write_cohorts
from patron.predict.value.repeat_purchase import build_repeat_purchase
from patron.predict.value.value_at_risk import build_value_at_risk
from patron.predict.value.value_parts import build_value_parts
from patron.schema.table_checks import validated
from patron.schema.table_definition import TEXTS, Table
from patron.schema.tables import BY_NAME, FEATURES
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.store.store import IMPORTS, RUNS

CUSTOMERS = 300
HOSTILE = "<script>alert('x')</script> & Söhne"
DEPARTMENTS = ("Produce", "Bakery", "Dairy", "Household", HOSTILE)
BEFORE = Run.at(datetime(2017, 7, 1, tzinfo=UTC))
LAST = Run.at(datetime(2017, 10, 1, tzinfo=UTC))
STAGES = ("new", "active", "at_risk", "lapsed", "reactivated")
CHURN_OF = dict.fromkeys(STAGES, lambda share: 0.5 * share) | {
    "at_risk": lambda share: 0.5 + 0.3 * share,
    "lapsed": lambda share: 0.8 + 0.2 * share,
}
"""Churn probability from a share of what a stage allows, as the default policy has it."""


def customer_id(number: int) -> str:
    return f"{number:032x}"[::-1]


def pick(rng: np.random.Generator, values, count: int, p=None) -> list:
    return [values[i] for i in rng.choice(len(values), count, p=p)]


def orders_of(rng: np.random.Generator) -> list[dict]:
    rows = []
    for number in range(CUSTOMERS):
        at = datetime(2017, 1, 1, 9, tzinfo=UTC) + timedelta(days=float(rng.exponential(40)))
        gap = float(rng.gamma(2.0, 12.0)) + 3
        while at < LAST.as_of:
            rows.append({"customer_id": customer_id(number), "at": at, "order_id": f"o{len(rows)}"})
            if rng.random() < 0.04:
                break
            at += timedelta(days=float(rng.exponential(gap)), hours=float(rng.integers(0, 9)))
    return rows


def lines_of(orders: list[dict], rng: np.random.Generator) -> list[dict]:
    lines = []
    for order in orders:
        for part in range(int(rng.integers(1, 5))):
            gross = int(rng.gamma(2.0, 700.0)) + 99
            discount = int(gross * 0.1) if rng.random() < 0.3 else 0
            lines.append(
                {
                    "line_id": f"{order['order_id']}/{part}",
                    "customer_id": order["customer_id"],
                    "is_identified": True,
                    "order_id": order["order_id"],
                    "product_id": f"p{int(rng.integers(0, 40))}",
                    "category": DEPARTMENTS[int(rng.integers(0, 5))],
                    "brand": "National",
                    "ordered_at": order["at"],
                    "occurred_at": order["at"],
                    "known_at": order["at"],
                    "quantity": 1,
                    "gross_cents": gross,
                    "discount_cents": discount,
                    "paid_cents": gross - discount,
                    "has_coupon": discount > 0 and part == 0,
                    "has_price": True,
                    "is_refund": False,
                    "channel": "store",
                }
            )
    return lines


def refunds_of(lines: list[dict]) -> list[dict]:
    return [
        {
            **line,
            "line_id": line["line_id"] + "/refund",
            "occurred_at": line["occurred_at"] + timedelta(days=4),
            "known_at": line["occurred_at"] + timedelta(days=4),
            "quantity": -1,
            "gross_cents": -line["paid_cents"],
            "discount_cents": 0,
            "paid_cents": -line["paid_cents"],
            "is_refund": True,
        }
        for line in lines[::50]
    ]


def facts(rng: np.random.Generator) -> dict[str, list[dict]]:
    orders = orders_of(rng)
    lines = lines_of(orders, rng)
    by_order: dict[str, list[dict]] = {}
    for line in lines:
        by_order.setdefault(line["order_id"], []).append(line)
    lines += refunds_of(lines)
    order_rows = [
        {
            "customer_id": order["customer_id"],
            "is_identified": True,
            "order_id": order["order_id"],
            "occurred_at": order["at"],
            "known_at": order["at"],
            "line_count": len(by_order[order["order_id"]]),
            "product_count": len(by_order[order["order_id"]]),
            "unit_count": len(by_order[order["order_id"]]),
            **{
                column: sum(line[column] for line in by_order[order["order_id"]])
                for column in ("gross_cents", "discount_cents", "paid_cents")
            },
            "has_coupon": any(line["has_coupon"] for line in by_order[order["order_id"]]),
            "channel": "store",
            "local_hour": order["at"].hour,
            "local_weekday": order["at"].weekday(),
            "local_day": int(order["at"].timestamp() // 86400),
        }
        for order in orders
    ]
    customers = []
    for number in range(CUSTOMERS):
        who = customer_id(number)
        mine = [row for row in order_rows if row["customer_id"] == who]
        if not mine:
            continue
        times = [row["occurred_at"] for row in mine]
        given_back = -sum(line["paid_cents"] for line in lines if line["customer_id"] == who and line["is_refund"])
        customers.append(
            {
                "customer_id": who,
                "is_identified": True,
                "first_event_at": min(times),
                "first_order_at": min(times),
                "last_order_at": max(times),
                "order_count": len(mine),
                "paid_cents": sum(row["paid_cents"] for row in mine) - given_back,
                "refunded_cents": given_back,
                "acquisition_channel": "store",
            }
        )
    return {
        "orders": order_rows,
        "order_lines": lines,
        "customers": customers,
        "products": [
            {
                "product_id": f"p{n}",
                "product_name": HOSTILE if n == 0 else f"Product {n}",
                "department": DEPARTMENTS[n % 5],
                "category": DEPARTMENTS[n % 5],
                "brand": "National",
                "price_cents": 199 + 50 * n,
                "known_at": datetime(2017, 1, 1, tzinfo=UTC),
            }
            for n in range(40)
        ],
        "contracts": contracts_of(customers),
        "interactions": [
            {
                "source": "made",
                "event_id": f"m{n}",
                "customer_id": row["customer_id"],
                "is_identified": True,
                "kind": "message_sent",
                "campaign_id": "18",
                "channel": "e-mail",
                "occurred_at": row["last_order_at"],
                "known_at": row["last_order_at"],
                "local_hour": 9,
                "local_day": int(row["last_order_at"].timestamp() // 86400),
            }
            for n, row in enumerate(customers[::3])
        ],
        "identities": [
            {
                "token": f"token-{row['customer_id']}",
                "customer_id": row["customer_id"],
                "is_user": True,
                "known_at": row["first_event_at"],
            }
            for row in customers
        ],
        "traits": [
            {
                "customer_id": row["customer_id"],
                "trait": "income",
                "value": "50-74K",
                "event_id": f"t{n}",
                "occurred_at": row["first_event_at"],
                "known_at": row["first_event_at"],
            }
            for n, row in enumerate(customers[::2])
        ],
    }


def understood(run: Run, customers: list[dict], rng: np.random.Generator) -> dict[str, list[dict]]:
    customers_before_run = [row for row in customers if row["first_order_at"] < run.as_of]
    stages = pick(rng, STAGES, len(customers_before_run), p=[0.1, 0.5, 0.2, 0.15, 0.05])
    mark = {"run_id": run.run_id, "as_of": run.as_of}
    segments = [
        {
            **mark,
            "customer_id": row["customer_id"],
            **{f"{name}_score": int(rng.integers(1, 6)) for name in ("recency", "frequency", "monetary")},
            "persona_id": int(rng.integers(0, 3)),
            "lifecycle_stage": stage,
            "stage_basis": "forecast",
        }
        for row, stage in zip(customers_before_run, stages, strict=True)
    ]
    personas = [
        {
            "run_id": run.run_id,
            "persona_id": n,
            "name_code": code,
            "customer_count": sum(row["persona_id"] == n for row in segments),
            "paid_cents_365_days": 90_000.0 / (n + 1),
            "order_count_365_days": 22.0 / (n + 1),
            "days_since_last_order": 9.0 * (n + 1),
            "stability": (0.93, 0.71, 0.5)[n],
            "overall_stability": 0.66,
        }
        for n, code in enumerate(("high_value+frequent", "coupon_lover", "low_value+rare"))
    ]
    facts = [
        ("order_count_365_days", None, "count", 22.0, 8.0, 0.8),
        ("mean_order_hour", None, "hour", 19.2, 14.0, 0.5),
        ("coupon_order_share", None, "share", 0.7, 0.12, 0.6),
        ("favourite_category", "SOFT DRINKS", "share", 0.6, 0.1, 0.5),
    ]
    persona_traits = [
        {"run_id": run.run_id, "persona_id": n, "rank": rank, "trait": trait, "level": level, "unit": unit,
         "persona_value": value, "shop_value": usual, "effect": effect}
        for n in range(3)
        for rank, (trait, level, unit, value, usual, effect) in enumerate(facts[n : n + 2], start=1)
    ]  # fmt: skip
    scores = []
    for segment in segments:
        value, churn = float(rng.lognormal(8.5, 1.2)), CHURN_OF[segment["lifecycle_stage"]](float(rng.beta(1.2, 4.0)))
        of = {**mark, "customer_id": segment["customer_id"]}
        reasons = ["+days_since_last_order", "-order_count_90_days", "-paid_cents_365_days"]
        scores += [
            {**of, "question": "value", "model_version": "value-made", "value": value, "low": value / 2,
             "high": value * 2,
             "reasons": ["+paid_cents_365_days"]},
            {**of, "question": "churn", "model_version": "churn-made", "value": churn,
             "reasons": reasons},
            {**of, "question": "purchase", "model_version": "purchase-made", "value": 1 - churn,
             "reasons": reasons[:1]},
        ]  # fmt: skip
    recommended = [
        {**mark, "customer_id": segment["customer_id"], "rank": rank, "product_id": f"p{(n + rank - 1) % 40}",
         "reason": "buy_again" if rank % 2 else "popular"}
        for n, segment in enumerate(segments)
        for rank in range(1, 11)
    ]  # fmt: skip
    affinities = [{**row, "score": 1.0 / row["rank"], "model_version": "recommend-made"} for row in recommended]
    return {
        "segments": segments,
        "personas": personas,
        "persona_traits": persona_traits,
        "scores": scores,
        **churn_reason_rows(run, segments),
        "recommendations": recommended,
        "affinities": affinities,
        **needs_of(run, segments),
        **responses_of(run, segments),
        **survival_of(run, segments),
        **contract_forecasts_of(run, segments),
        "decisions": (decided := decisions_of(run, segments, rng)),
        "alternatives": [alternative for row in decided for alternative in alternatives_of(row)],
        "cleaning": [
            {"run_id": run.run_id, "check_code": code, "row_count": count, "checked_count": 1000, "treatment": done,
             "example": "made/e1"}
            for code, count, done in (("second_event_of_an_order", 3, "excluded"), ("line_without_price", 12, "kept"))
        ],
    }  # fmt: skip


def churn_reason_rows(run: Run, segments: list[dict]) -> dict[str, list[dict]]:
    """Two reasons of every other customer, and what they add up to."""
    base = {"run_id": run.run_id, "question": "churn"}
    facts = (
        {"rank": 1, "code": "overdue", "contribution": 0.9, "fact": 93.0, "usual": 11.0, "basis": "customer",
         "days_ago": 93},
        {"rank": 2, "code": "returns", "contribution": 0.4, "fact": 2.0, "usual": 0.0, "basis": "shop",
         "window_days": 30, "days_ago": 4},
    )  # fmt: skip
    chosen = segments[::2]
    drivers = (("overdue", len(chosen), 0.9), ("none", len(segments) - len(chosen), None))
    return {
        "reasons": [base | {"customer_id": one["customer_id"]} | fact for one in chosen for fact in facts],
        "churn_drivers": [
            {"run_id": run.run_id, "code": code, "customer_count": count, "share": count / len(segments),
             "mean_contribution": contribution, "mean_churn_probability": 0.8}
            for code, count, contribution in drivers
        ],
        "partial_dependence": [
            base | {"feature": "days_since_last_order", "value": float(days), "mean_forecast": days / 400}
            for days in (10, 90, 250)
        ],
    }  # fmt: skip


def needs_of(run: Run, segments: list[dict]) -> dict[str, list[dict]]:
    """Two likely categories of each customer, and sums of them."""
    needs = [
        {"run_id": run.run_id, "customer_id": segment["customer_id"], "rank": rank,
         "category": DEPARTMENTS[(n + rank) % len(DEPARTMENTS)], "probability": 0.6 / rank,
         "expected_cents": 1_000 * rank, "days_until_due": 22.5 if rank == 1 else None,
         "usual_gap_days": 17.4 if rank == 1 else None, "reason": "overdue" if rank == 1 else "popular_now",
         "model_version": f"category_purchase/{run.run_id}"}
        for n, segment in enumerate(segments)
        for rank in (1, 2)
    ]  # fmt: skip
    forecasts = [
        {"run_id": run.run_id, "category": name,
         "expected_customers": sum(need["probability"] for need in needs if need["category"] == name),
         "due_customer_count": sum(need["probability"] > 0.5 for need in needs if need["category"] == name),
         "expected_cents": sum(need["expected_cents"] for need in needs if need["category"] == name)}
        for name in DEPARTMENTS
    ]  # fmt: skip
    return {"category_needs": needs, "category_forecasts": forecasts}


def responses_of(run: Run, segments: list[dict]) -> dict[str, list[dict]]:
    """Two types of message of each customer."""
    return {
        "response_forecasts": [
            {"run_id": run.run_id, "customer_id": segment["customer_id"], "channel": channel, "message_type": of,
             "probability": chance, "response": response, "message_count": 3, "response_count": 1,
             "shop_response_share": 0.123, "model_version": f"message_response/{run.run_id}"}
            for segment in segments
            for channel, of, chance, response in (
                ("mail", "Type A", 0.271, "order"), ("e-mail", "any", 0.052, "click"))
        ]
    }  # fmt: skip


def survival_of(run: Run, segments: list[dict]) -> dict[str, list[dict]]:
    """Curves of every other customer, hazards that beat the life table, and warnings that beat a simple rule."""
    base = {"run_id": run.run_id}
    curves = [
        base | {"customer_id": segment["customer_id"], "horizon_days": days, "probability_active": share,
                "mean_probability_active": share - 0.1, "expected_days": 77.4 if days == 180 else None,
                "model_version": f"survival/{run.run_id}"}
        for segment in segments[::2]
        for days, share in ((90, 0.9), (180, 0.7))
    ]  # fmt: skip
    backtests = [
        base | {"origin": "2017-04-04", "learner": learner, "champion": "hazard_trees", "metric": metric,
                "horizon_days": 180, "value": 0.2 + 0.01 * place, "low": 0.18, "high": 0.22,
                "gain": None if place == 2 else 0.02, "gain_low": None if place == 2 else 0.01,
                "gain_high": None if place == 2 else 0.03, "forecast_share": 0.71 if metric == "brier" else None,
                "actual_share": 0.69 if metric == "brier" else None, "customer_count": 280, "leaver_count": 61}
        for place, learner in enumerate(("hazard_trees", "hazard_logistic", "life_table"))
        for metric in ("log_loss", "concordance", "brier")
    ]  # fmt: skip
    warnings = [
        base | {"rule": rule, "share": share, "warned_count": 40, "precision": precision, "low": precision - 0.1,
                "high": precision + 0.1, "base_rate": 0.05, "leavers_warned_share": 0.6, "lead_days": 31.0,
                "lead_low_days": 12.0, "lead_high_days": 55.0, "gain": 0.2 if rule == "churn" else None,
                "gain_low": 0.1 if rule == "churn" else None, "gain_high": 0.3 if rule == "churn" else None,
                "customer_count": 290, "leaver_count": 33}
        for share in (0.02, 0.1)
        for rule, precision in (("churn", 0.5), ("days_since_last_order", 0.3))
    ]  # fmt: skip
    return {"survival_curves": curves, "survival_backtests": backtests, "early_warnings": warnings}


def contracts_of(customers: list[dict]) -> list[dict]:
    """A contract in its third term that ends soon, half of them cancelled, and one that runs for another year."""
    same = {"started_at": BEFORE.as_of, "known_at": BEFORE.as_of}
    return [
        {**same, "customer_id": row["customer_id"], "contract_id": of, "term": term, "price_cents": 1_500,
         "ends_at": LAST.as_of + timedelta(days=days), "cancelled_at": BEFORE.as_of if n % 2 and term == 3 else None}
        for n, row in enumerate(customers)
        for of, term, days in (("COFFEE", 3, 12), ("CLUB", 1, 300))
    ]  # fmt: skip


def contract_forecasts_of(run: Run, segments: list[dict]) -> dict[str, list[dict]]:
    """The chance that the contract which ends soon is not renewed."""
    return {
        "contract_forecasts": [
            {"run_id": run.run_id, "customer_id": segment["customer_id"], "contract_id": "COFFEE",
             "ends_at": LAST.as_of + timedelta(days=12), "is_cancelled": False, "probability": 0.23,
             "model_version": f"contract_churn/{run.run_id}"}
            for segment in segments
        ]
    }  # fmt: skip


def decisions_of(run: Run, segments: list[dict], rng: np.random.Generator) -> list[dict]:
    rows = []
    for segment in segments:
        if segment["lifecycle_stage"] not in {"at_risk", "lapsed"}:
            continue
        held = bool(rng.random() < 0.1)
        offered = not held and bool(rng.random() < 0.5)
        rows.append(
            {
                "run_id": run.run_id,
                "decision_id": f"{run.run_id}-{segment['customer_id']}",
                "customer_id": segment["customer_id"],
                "as_of": run.as_of,
                "action": "ten_percent" if offered else "none",
                "expected_net_value_cents": 55.0 if offered else 0.0,
                "effect_cents": 120.0 if offered else 0.0,
                "cost_cents": 65.0 if offered else 0.0,
                "propensity": 0.5,
                "reason": "exploring" if offered else ("holdout" if held else "over_budget"),
                "stratum": f"{segment['lifecycle_stage']}/deals_high/value_low",
                "effect_source": "assumed",
                "policy_version": "made",
                "is_holdout": held,
                "consent_basis": "unknown_allowed",
                "budget_price": 1.4,
            }
        )
    return rows


def alternatives_of(decision: dict) -> list[dict]:
    """Two offers for a customer: the one that could be chosen, and one that costs too much."""
    same = {name: decision[name] for name in ("run_id", "decision_id", "customer_id")}
    forbidden = "holdout" if decision["is_holdout"] else None
    share = 0.0 if forbidden else 0.5
    return [
        same | {"action": action, "expected_net_value_cents": net, "effect_cents": net + cost, "cost_cents": cost,
                "propensity": share if net > 0 else 0.0, "forbidden_by": forbidden}
        for action, net, cost in (("ten_percent", 55.0, 65.0), ("twenty_percent", -20.0, 140.0))
    ]  # fmt: skip


def backtest_rows() -> dict[str, list[dict]]:
    run = {"run_id": LAST.run_id}
    learners = {
        "value": ("boosted_blend", "rmse_winsorised", ("last_90_days", "pareto_spend", "boosted_blend"), 4200.0),
        "churn": ("logistic", "log_loss", ("mean", "logistic"), 0.31),
        "purchase": ("boosted_chance", "log_loss", ("mean", "boosted_chance"), 0.42),
        "recommend": ("blend", "ndcg_at_10", ("popularity", "blend"), 0.21),
        "category_purchase": ("logistic", "log_loss", ("rate_by_category", "logistic"), 0.4),
        "category_spend": ("weighted_rates", "rmse_winsorised", ("own_rate", "weighted_rates"), 700.0),
        "contract_churn": ("after_cancellation", "log_loss", ("rate_by_cancellation", "after_cancellation"), 0.25),
        "message_response": ("averaged", "log_loss", ("personal_response_rate", "averaged"), 0.29),
    }
    backtests = [
        {**run, "question": question, "origin": origin, "learner": learner, "champion": champion, "metric": metric,
         "value": best * (1.0 if learner == champion else 1.2), "low": best * 0.9, "high": best * 1.3,
         "baseline": names[0], "baseline_value": best * 1.2, "gain": best * 0.2, "gain_low": best * 0.1,
         "gain_high": best * 0.3, "customer_count": 290}
        for question, (champion, metric, names, best) in learners.items()
        for origin in ("all", "2017-04-01", "2017-07-01")
        for learner in names
    ]  # fmt: skip
    checks = [
        {**run, "question": question, "scored_at": BEFORE.as_of, "decile": decile,
         "customer_count": 29 if decile else 290,
         "forecast_mean": base * (decile or 4),
         "actual_mean": base * (decile or 4) * (1.1 if decile % 2 else 0.95),
         "bias_share": 0.03, "bias_low": -0.02, "bias_high": 0.08, "error": base / 2, "baseline_error": base,
         "covered_share": 0.78 if question == "value" else None}
        for question, base in (("value", 1500.0), ("churn", 0.08))
        for decile in range(11)
    ]  # fmt: skip
    effects = [
        {**run, "offer": "any", "stratum": stratum, "treated_count": 40, "control_count": 38, "effect_cents": effect,
         "low": effect - 400, "high": effect + 400, "standard_error": 204.0, "is_placebo": True,
         "decided_from": BEFORE.as_of, "decided_until": BEFORE.as_of, "window_share": 1.0}
        for stratum, effect in (
            ("all", 35.0),
            ("at_risk/deals_high/value_low", 60.0),
            ("lapsed/deals_low/value_high", -45.0),
        )
    ]  # fmt: skip
    drift = [
        {**run, "feature": feature, "reference_run_id": BEFORE.run_id, "population_stability_index": index,
         "mean_before": 10.0, "mean_now": 12.0}
        for feature, index in (("days_since_last_order", 0.31), ("order_count_90_days", 0.12), ("category_count", 0.02))
    ]  # fmt: skip
    total = {
        **run,
        "question": "value",
        "value": 2e6,
        "low": 1.6e6,
        "high": 2.5e6,
        "history_value": 2.2e6,
        "models_value": 1.8e6,
        "history_weight": 0.4,
        "season": 1.1,
        "is_season_observed": False,
    }
    return {
        "backtests": backtests,
        "forecast_checks": checks,
        "effects": effects,
        "drift": drift,
        "shop_forecasts": [total],
    }


def rows_of(table: Table, rows: list[dict]) -> pa.Table:
    columns = {
        column.name: pa.array([row.get(column.name) for row in rows], TEXTS if column.type == TEXTS else column.type)
        for column in table.columns
        if any(column.name in row for row in rows)
    }
    return validated(table, pa.table(columns))


def features_of(run: Run, customers: list[dict]) -> pa.Table:
    """What a view of a customer now reads of their features."""
    rows = [
        {"run_id": run.run_id, "customer_id": row["customer_id"], "as_of": run.as_of, "feature_version": "made"}
        | {"order_day_count_lifetime": row["order_count"], "days_from_first_to_last_order": 30 * row["order_count"]}
        for row in customers
    ]
    return pa.Table.from_pylist(rows)


def finish(shop: Shop, run: Run) -> None:
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        connection.execute(
            sa.insert(RUNS).values(
                run_id=run.run_id,
                as_of=run.as_of,
                finished_at=run.as_of,
                seconds=1.0,
                seed=run.seed,
                policy_version="made",
                table_versions=versions,
                summary={},
            )
        )


def fill(shop: Shop) -> Shop:
    """Write facts, two runs and an import; the last run is what readers see."""
    rng = np.random.default_rng(20170701)
    tables = facts(rng)
    for name, rows in tables.items():
        shop.lake.replace(BY_NAME[name], rows_of(BY_NAME[name], rows))
    for run in (BEFORE, LAST):
        for name, rows in understood(run, tables["customers"], rng).items():
            shop.lake.replace(BY_NAME[name], rows_of(BY_NAME[name], rows), part=run.run_id)
        shop.lake.replace(FEATURES, features_of(run, tables["customers"]), part=run.run_id)
        if run is LAST:
            for name, rows in backtest_rows().items():
                shop.lake.replace(BY_NAME[name], rows_of(BY_NAME[name], rows), part=run.run_id)
            view = shop.view(predict.READS, predict.WRITES, run=run)
            for build in (build_repeat_purchase, build_value_parts, build_value_at_risk):
                build(view)
            write_cohorts(shop.view(measure.READS, measure.WRITES, run=run))
        finish(shop, run)
    with shop.store.begin() as connection:
        connection.execute(
            sa.insert(IMPORTS).values(
                import_id="i1",
                mapping="made",
                source="made",
                files=["/somewhere/else/orders.csv"],
                started_at=LAST.as_of,
                finished_at=LAST.as_of,
                read_count=110,
                stored_count=100,
                duplicate_count=7,
                rejected_count=3,
            )
        )
    return shop
