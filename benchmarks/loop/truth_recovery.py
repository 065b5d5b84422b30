"""How much of the truth about offers is recovered from randomised months, and what is lost before it earns money.

On each simulated shop offers are randomised for some months. From what the shop sees of them, effects are estimated
for each customer and offer: in the product's way (effects of strata, weighed with the assumption) and with learners of
`patron.uplift`. Then the budget of a run is allocated, and the true uplift of what it buys is set against the best
possible: the loss is split into allocation, estimation and exploration. Pure functions, no workspace.

    python benchmarks/loop/truth_recovery.py 0 1 2
"""

import multiprocessing
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import duckdb
import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import KFold, cross_val_predict

from patron import uplift
from patron.allocation import allocate, shrink_effects
from patron.commands.data.simulated_loop import OFFERS
from patron.decide.evidence import Evidence, MeasuredEffect
from patron.decide.expected_value import ASSUMED_ERROR_SHARE, expected_values, order_cents, spend_per_day
from patron.decide.selection import NONE, select_offers
from patron.decide.strata import strata
from patron.measure.decision_outcomes import DecisionOutcomes
from patron.measure.effect_measurement import effect_rows
from patron.simulate.ground_truth import truth
from patron.simulate.profit import margin_cents
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.offers.policy import Policy

SEEDS, PROCESSES = 20, 2
SETTINGS = replace(DEFAULT_SHOP, customers=3_000)
HISTORY_DAYS, MONTHS, MONTH_DAYS = 300, 4, 30
OFFERED_SHARE = 0.5
BUDGET_CENTS = 54_000
IDS = [offer.offer_id for offer in SETTINGS.offers]
POLICY = Policy.model_validate(
    {
        "consent": {"unknown": "allow"},
        "caps": {"offers_per_customer": 1_000},
        "offers": [
            {
                "id": offer.offer_id,
                "discount_share": offer.discount_share,
                "contact_cost_cents": offer.contact_cents,
                "cost_per_order_cents": SETTINGS.shipping_cents if offer.is_free_shipping else 0,
                "delivery_free_from": SETTINGS.free_shipping_from_cents / 100 if offer.is_free_shipping else 0,
                "assumed_purchase_uplift": 0.05,
            }
            for offer in SETTINGS.offers
        ],
    }
)
CANDIDATES = """
with seen as (select e.*, epoch_us(e.occurred_at) / 86400e6 as day from events e),
of_user as (
  select user_id,
    count(*) filter (name = 'Order Completed') as order_count,
    cast(coalesce(sum(revenue_cents) filter (name = 'Order Completed'), 0) as bigint) as paid_cents,
    cast(coalesce(sum(discount_cents) filter (name = 'Order Completed'), 0) as bigint) as discount_cents,
    count(*) filter (name = 'Order Completed' and coupon is not null) as coupon_order_count,
    $now - max(day) filter (name = 'Order Completed') as days_since_order,
    $now - max(day) as days_since_activity,
    count(*) filter (name = 'Product Viewed' and day >= $now - 60) as views_60_days,
    count(*) filter (name = 'Message Opened' and day >= $now - 90) as opened_90_days,
    count(*) filter (name = 'Order Completed' and day >= $now - 90) as orders_90_days,
    cast(coalesce(sum(revenue_cents) filter (name = 'Order Completed' and day >= $now - 90), 0) as bigint)
      as paid_90_days,
    least(greatest($now - min(day), 30), 365) as days_known
  from seen where day >= $now - 365 and name not in ('Message Sent', 'Offer Assigned') group by user_id)
select k.user_id as customer_id, u.* exclude (user_id),
  case when days_since_order <= 45 then 'active' when days_since_order <= 120 then 'at_risk' else 'lapsed' end
    as lifecycle_stage,
  90 * (paid_cents / days_known + paid_90_days / 90.0) / 2 as value_cents_90_days,
  paid_cents + discount_cents as gross_cents, cast(null as boolean) as is_consent_granted, 0 as offer_count,
  false as is_personal_refused, cast(null as varchar) as reason_1, cast(null as varchar) as reason_2,
  cast(null as varchar) as reason_3
from customers k join of_user u on u.user_id = k.user_id where order_count > 0 order by k.user_id
"""
"""Customers with an order in the last year, and what the shop sees of them."""
RESPONSES = """
with ordered as (
  select user_id, coupon, epoch_us(occurred_at) / 86400e6 as day from events where name = 'Order Completed'),
offered as (
  select r.user_id, count(*) as orders, count(*) filter (r.coupon = o.offer) as redeemed
  from ordered r join offers o on o.user_id = r.user_id and r.day >= o.day and r.day < o.day + $days
  group by r.user_id),
messages as (
  select user_id, count(*) filter (name = 'Message Sent') as sent, count(*) filter (name = 'Message Opened') as opened
  from events group by user_id)
select coalesce(greatest(m.sent, m.opened), 0) as sent_count, coalesce(m.opened, 0) as opened_count,
  coalesce(o.orders, 0) as offered_order_count, coalesce(o.redeemed, 0) as redeemed_count
from customers k left join messages m on m.user_id = k.customer_id left join offered o on o.user_id = k.customer_id
order by k.customer_id
"""
"""What each customer did with messages and offers' codes. Offers that are opened count as opened, and not as sent."""
ORDER_FEATURES = (
    "order_count",
    "orders_90_days",
    "days_since_order",
    "days_since_activity",
    "views_60_days",
    "opened_90_days",
    "value_cents_90_days",
)
"""What orders without an offer are expected from."""
MIN_ERROR_CENTS = 20.0
"""Standard error that an effect by latent classes is taken to have at least."""
PAID_SHIPPING_SHARE = 0.6
"""Share of orders that pay for shipping, about."""
FEATURES = (
    "order_count",
    "paid_cents",
    "discount_share",
    "coupon_share",
    "days_since_order",
    "days_since_activity",
    "views_60_days",
    "opened_90_days",
    "orders_90_days",
    "value_cents_90_days",
    "offers_90_days",
)


@dataclass(frozen=True)
class RandomisedMonth:
    """A month: who could have had which offer, who had which, and the margin that followed, cents."""

    rows: pa.Table
    action: np.ndarray
    order_count: np.ndarray
    margin: np.ndarray
    goods_margin: np.ndarray
    """The same without shipping, which the product's order lines do not show and its policy charges."""


@dataclass(frozen=True)
class Found:
    """What one way of estimating effects came to, and what its allocation loses, as shares of the best possible."""

    correlation: float
    bias_cents: float
    error_cents: float
    allocation_loss: float
    estimation_loss: float


def candidates(world: ShopSimulator, events: pa.Table, offered: np.ndarray) -> pa.Table:
    """The rows of customers at the world's present; `offered` has the day and person of earlier offers."""
    known = truth(world).select(["user_id"])
    columns = ["user_id", "name", "occurred_at", "revenue_cents", "discount_cents", "coupon"]
    now = int(world.now.timestamp()) / 86_400
    with duckdb.connect() as connection:
        connection.register("events", events.select(columns))
        connection.register("customers", known)
        rows = connection.sql(CANDIDATES, params={"now": now}).to_arrow_table()
    person = np.array([int(customer_id[1:]) for customer_id in rows["customer_id"].to_pylist()])
    recent = offered[offered[:, 0] > world.day - 90, 1]
    times = np.bincount(recent, minlength=int(person.max()) + 1)[person]
    extra = {
        "discount_share": rows["discount_cents"].to_numpy() / np.maximum(rows["gross_cents"].to_numpy(), 1.0),
        "coupon_share": rows["coupon_order_count"].to_numpy() / rows["order_count"].to_numpy(),
        "offers_90_days": times.astype(float),
    }
    for name, values in extra.items():
        rows = rows.append_column(name, pa.array(values))
    return rows


def randomised_months(seed: int) -> tuple[list[RandomisedMonth], pa.Table, pa.Table, pa.Table]:
    """Months in which offers were randomised, the rows of customers after them, their responses, and the truth then."""
    world, rng = ShopSimulator(SETTINGS, seed), np.random.default_rng([seed, 7])
    events, months = world.history(HISTORY_DAYS), []
    offered, offers_by_month = np.empty((0, 2), np.int64), []
    for _ in range(MONTHS):
        rows = candidates(world, events, offered)
        is_offered = rng.random(rows.num_rows) < OFFERED_SHARE
        action = np.where(is_offered, rng.integers(0, len(IDS), rows.num_rows), -1)
        users = np.array(rows["customer_id"].to_pylist())
        reached = np.flatnonzero(action >= 0)
        decisions = [f"{world.day}-{place}" for place in reached]
        offers = [users[reached], np.array(IDS)[action[reached]], decisions, [world.now] * len(reached)]
        persons = np.array([int(one[1:]) for one in users[reached]])
        offered = np.vstack([offered, np.column_stack([np.full(len(reached), world.day), persons])])
        offers_by_month.append(pa.table([pa.array(offer) for offer in offers], schema=OFFERS))
        later = world.advance(world.now + timedelta(days=MONTH_DAYS), offers_by_month[-1])
        users_now = rows["customer_id"]
        margins = margin_of(margin_cents(later, SETTINGS), users_now), margin_of(goods_margin_cents(later), users_now)
        months.append(RandomisedMonth(rows, action, order_counts(later, users_now), *margins))
        events = pa.concat_tables([events, later])
    rows = candidates(world, events, offered)
    return months, rows, responses(rows, events, pa.concat_tables(offers_by_month)), truth(world)


def responses(rows: pa.Table, events: pa.Table, offers: pa.Table) -> pa.Table:
    """Messages sent and opened, orders with a valid offer and with its code: one row per customer."""
    with duckdb.connect() as connection:
        connection.register("events", events.select(["user_id", "name", "occurred_at", "coupon"]))
        connection.register("customers", rows.select(["customer_id"]))
        connection.register("exposed", offers)
        connection.execute(
            "create view offers as"
            " select user_id, offer_id as offer, epoch_us(exposed_at) / 86400e6 as day from exposed"
        )
        return connection.sql(RESPONSES, params={"days": SETTINGS.offer_days}).to_arrow_table()


def order_counts(events: pa.Table, users: pa.ChunkedArray) -> np.ndarray:
    """How many orders each of these users placed."""
    ordered = events.filter(pc.equal(events["name"], "Order Completed"))["user_id"]
    at = pc.fill_null(pc.index_in(ordered, users.combine_chunks()), -1).to_numpy()
    return np.bincount(at[at >= 0], minlength=len(users)).astype(float)


def goods_margin_cents(events: pa.Table) -> pa.Table:
    """Margin of orders and refunds without shipping, cents: user_id, margin_cents."""
    rows = events.filter(pc.is_in(events["name"], pa.array(["Order Completed", "Order Refunded"])))
    off = rows["discount_cents"].to_numpy()
    earned = SETTINGS.margin_share * (rows["revenue_cents"].to_numpy() + off) - off
    is_order = pc.equal(rows["name"], "Order Completed").to_numpy()
    return pa.table({"user_id": rows["user_id"], "margin_cents": np.where(is_order, earned, -earned)})


def margin_of(rows: pa.Table, users: pa.ChunkedArray) -> np.ndarray:
    """Margin of each of these users, cents."""
    at = pc.fill_null(pc.index_in(rows["user_id"], users.combine_chunks()), -1).to_numpy()
    return np.bincount(at[at >= 0], weights=rows["margin_cents"].to_numpy()[at >= 0], minlength=len(users))


def measured_in_strata(months: list[RandomisedMonth]) -> dict[tuple[str, str], MeasuredEffect]:
    """Effects by offer and stratum, as the measure stage estimates them."""
    names = np.array([*IDS, NONE])
    parts = []
    for place, month in enumerate(months):
        count = month.rows.num_rows
        of_none = np.full(count, 1 - OFFERED_SHARE)
        propensities = {name: np.full(count, OFFERED_SHARE / len(IDS)) for name in IDS} | {NONE: of_none}
        parts.append(
            DecisionOutcomes(
                run=np.full(count, f"t{place:02}"),
                customer=np.array(month.rows["customer_id"].to_pylist()),
                stratum=strata(month.rows, spend_per_day(month.rows)),
                action=names[month.action],
                is_holdout=np.zeros(count, bool),
                is_first=np.full(count, place == 0),
                margin_cents=month.goods_margin,
                covariates=np.column_stack([month.rows["value_cents_90_days"].to_numpy()]),
                discount_cents=np.zeros(count),
                other_cost_cents=np.zeros(count),
                propensities=propensities,
            )
        )
    plain = [name for name in vars(parts[0]) if name != "propensities"]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in plain}
    by_action = {name: np.concatenate([part.propensities[name] for part in parts]) for name in names}
    rows = [row for row in effect_rows(DecisionOutcomes(**columns, propensities=by_action)) if row["offer"] != "any"]
    return {
        (str(r["offer"]), str(r["stratum"])): MeasuredEffect(float(r["effect_cents"]), float(r["standard_error"]))
        for r in rows
    }


def learned_effects(months: list[RandomisedMonth], rows: pa.Table) -> Mapping[str, np.ndarray]:
    """Effects of each customer and offer by learners of `patron.uplift`, cents: (customers, offers)."""
    names = np.array([*IDS, NONE])
    tables = [
        month.rows.select(list(FEATURES))
        .append_column("offer", pa.array(names[month.action]))
        .append_column("margin", pa.array(month.margin))
        for month in months
    ]
    trial = pa.concat_tables(tables)
    propensity = dict.fromkeys(IDS, OFFERED_SHARE / len(IDS)) | {NONE: 1 - OFFERED_SHARE}
    effects = {}
    for learner in (uplift.DEFAULT, uplift.SLearner(), uplift.TLearner()):
        fitted = learner.fit(
            trial, treatment="offer", control=NONE, outcome="margin", features=FEATURES, propensity=propensity
        )
        table = fitted.effects(rows.select(list(FEATURES)))
        effects[type(learner).__name__] = np.column_stack([table[name].to_numpy() for name in IDS])
        if learner is uplift.DEFAULT:
            ends = [(table[f"{name}_high"].to_numpy(), table[f"{name}_low"].to_numpy()) for name in IDS]
            error = np.column_stack([(high - low) / 3.92 for high, low in ends])
            shrunk = shrink_effects(effects[type(learner).__name__], np.maximum(error, 1e-6))
            effects[f"{type(learner).__name__}, shrunk"] = shrunk.effect
    return effects


def effects_by_response_class(
    months: list[RandomisedMonth], rows: pa.Table, responses_of_customers: pa.Table
) -> tuple[np.ndarray, np.ndarray]:
    """Effects by latent classes of response, and the errors they are taken to have, cents: (customers, offers)."""

    def matrix(of: pa.Table) -> np.ndarray:
        return np.column_stack([np.log1p(of[name].to_numpy().astype(float)) for name in ORDER_FEATURES])

    known = np.vstack([matrix(month.rows) for month in months])
    action = np.concatenate([month.action for month in months])
    orders = np.concatenate([month.order_count for month in months])
    model = lightgbm.LGBMRegressor(
        objective="poisson",
        n_estimators=120,
        learning_rate=0.05,
        num_leaves=8,
        min_child_samples=100,
        verbose=-1,
        num_threads=1,
    ).fit(known[action < 0], orders[action < 0])
    users = rows["customer_id"].combine_chunks()
    customer = np.concatenate(
        [pc.fill_null(pc.index_in(month.rows["customer_id"], users), -1).to_numpy() for month in months]
    )
    is_here = customer >= 0
    classes = uplift.ResponseClasses().fit(
        uplift.ResponseHistory(
            customer[is_here],
            action[is_here],
            order_count=orders[is_here],
            expected_orders=np.asarray(model.predict(known))[is_here],
            **{
                name: responses_of_customers[name].to_numpy().astype(float)
                for name in responses_of_customers.column_names
            },
        )
    )
    expected, size = np.asarray(model.predict(matrix(rows))), order_cents(rows)[:, None]
    terms = [(offer.discount_share, offer.is_free_shipping * PAID_SHIPPING_SHARE) for offer in SETTINGS.offers]
    share, shipped = (np.array(column) for column in zip(*terms, strict=True))
    gained = classes.added_orders(expected) * SETTINGS.margin_share * size
    spent = classes.redeemed_orders(expected) * (share * size + shipped * SETTINGS.shipping_cents)
    return gained - spent, np.maximum(ASSUMED_ERROR_SHARE / 2 * np.abs(gained), MIN_ERROR_CENTS)


def weigh_by_precision(
    effects: Mapping[tuple[str, str], MeasuredEffect], stratum: np.ndarray, assumed: np.ndarray, error: np.ndarray
) -> np.ndarray:
    """What was measured in strata and what is assumed, each by its precision, as the product weighs them."""
    measured = [[effects.get((name, one)) or effects[name, "all"] for name in IDS] for one in stratum]
    cents = np.array([[one.effect_cents for one in row] for row in measured])
    noise = np.array([[one.standard_error for one in row] for row in measured])
    weight = error**2 / (error**2 + noise**2)
    return weight * cents + (1 - weight) * assumed


def visible_part(rows: pa.Table, true: np.ndarray) -> np.ndarray:
    """What the features tell of the true effects, from the truth about other customers: no estimate can know more."""
    matrix = np.column_stack([rows[name].to_numpy() for name in FEATURES])
    model = lightgbm.LGBMRegressor(n_estimators=150, learning_rate=0.05, num_leaves=15, verbose=-1, num_threads=1)
    folds = KFold(5, shuffle=True, random_state=0)
    parts = [np.asarray(cross_val_predict(model, matrix, true[:, at], cv=folds)) for at in range(len(IDS))]
    return np.column_stack(parts)


def play(seed: int) -> dict[str, object]:
    """What is recovered on the shop of one seed, by way of estimating."""
    started = time.process_time()
    months, rows, responses_of_customers, known = randomised_months(seed)
    at = pc.index_in(rows["customer_id"], known["user_id"].combine_chunks()).to_numpy()
    true = np.column_stack([known[f"uplift_{name}_cents"].to_numpy() for name in IDS])[at]
    contact = np.array([offer.contact_cents for offer in SETTINGS.offers])
    effects, stratum = measured_in_strata(months), strata(rows, spend_per_day(rows))
    expected = expected_values(rows, stratum, POLICY.offers, Evidence(effects, SETTINGS.margin_share))
    evidence = Evidence(effects, margin_share=SETTINGS.margin_share)
    choice = select_offers(
        rows,
        np.zeros(rows.num_rows, bool),
        POLICY,
        evidence,
        budget_cents=BUDGET_CENTS,
        regret_cents=POLICY.exploration.share * BUDGET_CENTS,
        rng=np.random.default_rng(seed),
    )
    best = allocate(true - contact, expected.cost, BUDGET_CENTS)
    by_class, error = effects_by_response_class(months, rows, responses_of_customers)
    ways = {
        "the product's": expected.net + contact,
        "latent classes of response": by_class,
        "latent classes and strata, by precision": weigh_by_precision(effects, stratum, by_class, error),
        **learned_effects(months, rows),
        "nobody: the mean of each offer": np.broadcast_to(true.mean(axis=0), true.shape),
        "the truth, as far as features show it": visible_part(rows, true),
    }
    found: dict[str, object] = {
        name: judge(effect, true, contact, expected.cost, best.bound, best.value) for name, effect in ways.items()
    }
    decided = float((choice.propensities_by_action[:, :-1] * (true - contact)).sum())
    by_estimate = allocate(expected.net, expected.cost, BUDGET_CENTS).choice
    return found | {
        "exploration": (worth(by_estimate, true - contact) - decided) / best.bound,
        "spread": float(true.std()),
        "best": best.bound,
        "seconds": time.process_time() - started,
    }


def worth(choice: np.ndarray, net: np.ndarray) -> float:
    """True net value of a choice, cents."""
    chosen = np.flatnonzero(choice >= 0)
    return float(net[chosen, choice[chosen]].sum())


def judge(
    effect: np.ndarray, true: np.ndarray, contact: np.ndarray, cost: np.ndarray, bound: float, best_value: float
) -> Found:
    """Compare estimated effects with the truth, and what an allocation by them is worth with the best."""
    choice = allocate(effect - contact, cost, BUDGET_CENTS).choice
    error = effect - true
    correlation = 0.0 if effect.std() == 0 else float(np.corrcoef(effect.ravel(), true.ravel())[0, 1])
    return Found(
        correlation,
        float(error.mean()),
        float(np.sqrt((error**2).mean())),
        (bound - best_value) / bound,
        (best_value - worth(choice, true - contact)) / bound,
    )


def mean_and_error(values: list[float], form: str) -> str:
    """Mean over seeds and its standard error."""
    return (
        f"{np.mean(values):{form}} ({np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0:{form}})"
    )


def main() -> None:
    seeds = [int(text) for text in sys.argv[1:]] or list(range(SEEDS))
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        done = pool.map(play, seeds, chunksize=1)
    ways = [name for name, one in done[0].items() if isinstance(one, Found)]
    print("| effects by | correlation | bias, cents | error, cents | lost by allocation | by estimation |")
    print(f"|{'---|' * 6}")
    for way in ways:
        found = [one[way] for one in done]
        columns = [
            mean_and_error([getattr(one, name) for one in found if isinstance(one, Found)], form)
            for name, form in (
                ("correlation", ".3f"),
                ("bias_cents", "+.0f"),
                ("error_cents", ".0f"),
                ("allocation_loss", ".2%"),
                ("estimation_loss", ".1%"),
            )
        ]
        print(f"| {way} | {' | '.join(columns)} |")
    numbers = {name: [float(one[name]) for one in done] for name in ("exploration", "spread", "best", "seconds")}  # type: ignore[arg-type]
    print(f"the product's exploration loses {mean_and_error(numbers['exploration'], '.1%')} of the best possible more")
    print(f"true uplifts differ by {np.mean(numbers['spread']):.0f} cents; the best is worth", end=" ")
    print(f"{np.mean(numbers['best']) / 100:,.0f} dollars a month; {np.mean(numbers['seconds']):.0f} s a seed")


if __name__ == "__main__":
    main()
