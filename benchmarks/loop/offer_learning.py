"""Does the loop of decide and measure find who is worth an offer? A small made-up market with known answers.

Twelve monthly runs, the same customers for every policy of a seed. 'random' gives offers to anybody at the spend of
'ours'. No workspace: the pure functions of decide and measure only, so that a year of ten markets takes a minute.
"""

import time
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from patron.decide.candidates import REASON_COLUMNS
from patron.decide.evidence import Evidence, MeasuredEffect
from patron.decide.selection import NONE, OfferSelection, select_offers
from patron.measure.decision_outcomes import DecisionOutcomes
from patron.measure.effect_measurement import effect_rows
from patron.storage.offers.policy import Policy

CUSTOMERS, MONTHS, SEEDS, MARGIN, ORDER_CENTS = 2_000, 12, 10, 0.45, 5_000.0
BUDGET_CENTS = 400_000
OFFERS = (("TEN", 0.10, 0.55), ("TWENTY", 0.20, 1.0))
POLICY = Policy.model_validate(
    {
        "consent": {"unknown": "allow"},
        "offers": [
            {"id": name, "discount_share": share, "contact_cost_cents": 5, "assumed_purchase_uplift": 0.06}
            for name, share, _ in OFFERS
        ],
    }
)


@dataclass(frozen=True)
class Market:
    """Customers: what is hidden, and what the shop sees of it."""

    orders_a_month: np.ndarray
    nudge: np.ndarray
    is_put_off: np.ndarray
    customers: pa.Table


def market(seed: int) -> Market:
    rng = np.random.default_rng(seed)
    taste, slows = rng.random(CUSTOMERS), rng.random(CUSTOMERS) < 0.5
    rate = rng.gamma(1.1, 0.45, CUSTOMERS) * np.where(slows, 0.5, 1.0)
    utility = np.column_stack(
        [-1.3 + 2.2 * (taste - 0.5) + slows, np.zeros(CUSTOMERS), -0.5 + np.log(rate + 0.1), -1.3 - 2 * (taste - 0.5)]
    )
    kind = (utility + rng.gumbel(size=utility.shape)).argmax(axis=1)
    orders = 1 + rng.poisson(12 * rate)
    gross = (orders * ORDER_CENTS).astype(np.int64)
    coupons = rng.binomial(orders, 0.03 + 0.5 * taste**2)
    discount = (coupons * ORDER_CENTS * 0.05).astype(np.int64)
    customers = pa.table(
        {
            "customer_id": [f"c{n:05}" for n in range(CUSTOMERS)],
            "lifecycle_stage": np.where(slows, "at_risk", "active").tolist(),
            "value_cents_90_days": 3 * rate * ORDER_CENTS * rng.lognormal(0, 0.3, CUSTOMERS),
            "order_count": orders,
            "paid_cents": gross - discount,
            "gross_cents": gross,
            "discount_cents": discount,
            "coupon_order_count": coupons,
            "is_consent_granted": pa.nulls(CUSTOMERS, pa.bool_()),
            "is_personal_refused": np.zeros(CUSTOMERS, dtype=bool),
            **{name: pa.nulls(CUSTOMERS, pa.string()) for name in REASON_COLUMNS},
            "offer_count": np.zeros(CUSTOMERS, np.int64),
        }
    )
    nudge = np.where(kind == 0, 0.4 * rng.lognormal(0, 0.5, CUSTOMERS), 0.0)
    return Market(rate, nudge, kind == 3, customers)


def margins(of: Market, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A month's margin of each customer, cents; chance is the same for every policy."""
    luck, sizes = rng.random(CUSTOMERS), rng.gamma(4.0, ORDER_CENTS / 4, CUSTOMERS)
    strength = np.array([0.0, *(s for _, _, s in OFFERS)])[action + 1]
    off = np.array([0.0, *(d for _, d, _ in OFFERS)])[action + 1]
    rate = of.orders_a_month * np.where(of.is_put_off & (action >= 0), 0.6, 1.0) + of.nudge * strength
    count = np.floor(np.log(np.maximum(luck, 1e-9)) / np.log(rate / (1 + rate)))  # geometric with this mean
    return count * sizes * (MARGIN - off) - 5 * (action >= 0)


def play(seed: int, how: str, share: float = 0.0) -> tuple[float, float]:
    """Margin of a year, and the share of customers offered a month."""
    of, held = market(seed), np.arange(CUSTOMERS) % 10 == 0
    past: list[DecisionOutcomes] = []
    earned, offered = 0.0, 0.0
    for month in range(MONTHS):
        rng = np.random.default_rng([seed, month, 1])
        action, choice = np.full(CUSTOMERS, -1), None
        if how == "random":
            action = np.where(rng.random(CUSTOMERS) < share, rng.integers(0, len(OFFERS), CUSTOMERS), -1)
        elif how == "ours":
            effects = learned(past)
            choice = select_offers(
                of.customers,
                held,
                POLICY,
                Evidence(effects, MARGIN),
                budget_cents=BUDGET_CENTS,
                regret_cents=POLICY.exploration.share * BUDGET_CENTS,
                rng=rng,
            )
            action = choice.action
        margin = margins(of, action, np.random.default_rng([seed, month, 2]))
        earned, offered = earned + margin.sum(), offered + (action >= 0).mean() / MONTHS
        if choice is not None:
            past.append(outcomes(of, choice, held, month, margin + 5 * (action >= 0)))
    return earned, offered


def outcomes(of: Market, choice: OfferSelection, held: np.ndarray, month: int, spent: np.ndarray) -> DecisionOutcomes:
    """What the shop sees of a month: decisions, their probabilities and the margin before contacts."""
    names = np.array([*(offer.id for offer in POLICY.offers), NONE])
    by_action = choice.propensities_by_action
    is_randomised = by_action.max(axis=1) < 1
    return DecisionOutcomes(
        run=np.full(CUSTOMERS, f"t{month:02}"),
        customer=np.array(of.customers["customer_id"].to_pylist()),
        stratum=choice.stratum,
        action=names[choice.action],
        is_holdout=held,
        is_first=np.full(CUSTOMERS, month == 0),
        margin_cents=spent,
        covariates=np.column_stack([of.customers["value_cents_90_days"].to_numpy()]),
        discount_cents=np.zeros(CUSTOMERS),
        other_cost_cents=np.zeros(CUSTOMERS),
        propensities={str(name): by_action[:, at] * is_randomised for at, name in enumerate(names)},
    )


def learned(past: list[DecisionOutcomes]) -> dict[tuple[str, str], MeasuredEffect]:
    if not past:
        return {}
    plain = [field_.name for field_ in fields(DecisionOutcomes) if field_.name != "propensities"]
    columns = {name: np.concatenate([getattr(one, name) for one in past]) for name in plain}
    propensities = {a: np.concatenate([one.propensities[a] for one in past]) for a in past[0].propensities}
    everything = DecisionOutcomes(**columns, propensities=propensities)
    rows = [row for row in effect_rows(everything) if row["offer"] != "any"]
    return {
        (str(r["offer"]), str(r["stratum"])): MeasuredEffect(float(r["effect_cents"]), float(r["standard_error"]))
        for r in rows
    }


def main() -> None:
    started, gains = time.perf_counter(), []
    for seed in range(SEEDS):
        ours, share = play(seed, "ours")
        nothing, random = play(seed, "none")[0], play(seed, "random", share)[0]
        gains.append((ours - nothing, ours - random))
        found = f"ours - none {ours - nothing:+,.0f}, ours - random {ours - random:+,.0f} cents"
        print(f"seed {seed}: offered {share:.0%} a month; {found}")
    for name, gain in zip(("none", "random"), np.array(gains).T, strict=True):
        error = gain.std(ddof=1) / np.sqrt(SEEDS)
        print(f"ours - {name}: {gain.mean():+,.0f} cents a year, {gain.mean() / error:+.1f} standard errors")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
