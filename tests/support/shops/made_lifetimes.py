"""Customers whose hazards are known, for the tests of `patron.tabular.hazards`."""

import numpy as np
import pyarrow as pa


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def lifetimes(hazards, rng, *, longest=None, entered=None):
    """Durations and events drawn from a matrix of hazards, a row a customer; censored at random up to `longest`.

    With `entered`, only those who were still active after so many periods are kept; returns which.
    """
    rows, periods = hazards.shape
    leaves = rng.random(hazards.shape) < hazards
    left = np.where(leaves.any(axis=1), leaves.argmax(axis=1) + 1, periods + 1)
    censored = rng.integers(1, (longest or periods) + 1, rows)
    if entered is not None:
        censored = np.maximum(censored, entered + 1)
    duration, event = np.minimum(left, censored), (left <= censored).astype(int)
    kept = np.ones(rows, dtype=bool) if entered is None else left > entered
    return duration, event, kept


def proportional_table(rows=3000, seed=0, periods=24):
    """Log-odds of leaving that are a curve in time plus .7 x0 - .5 x1 + .6 for one of three plans; x2 says nothing."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3))
    plan = rng.integers(0, 3, rows)
    odds = -3 - 0.4 * np.log(np.arange(1, periods + 1))[None, :]
    odds = odds + (0.7 * numbers[:, 0] - 0.5 * numbers[:, 1] + 0.6 * (plan == 2))[:, None]
    duration, event, _ = lifetimes(sigmoid(odds), rng)
    columns = {f"x{at}": numbers[:, at] for at in range(3)}
    plans = np.array(["year", "half", "month"])[plan]
    keys = [f"c{at:05d}" for at in range(rows)]
    return pa.table({"customer_id": keys, **columns, "plan": plans, "periods": duration, "left": event}), sigmoid(odds)


def crossing_table(rows=6000, seed=0, periods=12):
    """A trait that raises the hazard in the first six periods and lowers it afterwards; hazards next to the table."""
    rng = np.random.default_rng(seed)
    trait, noise = rng.integers(0, 2, rows), rng.normal(size=rows)
    sign = np.where(np.arange(1, periods + 1) <= 6, 1.2, -1.2)
    hazards = sigmoid(-2.5 + sign[None, :] * (trait - 0.5)[:, None])
    duration, event, _ = lifetimes(hazards, rng)
    return pa.table({"trait": trait, "noise": noise, "periods": duration, "left": event}), hazards


def fading_person_periods(customers=2500, seed=0, periods=14):
    """Customers whose activity falls for some periods before they leave: a row each a period, and what it says.

    `activity` is known at the start of a period. From a random period on it fades; the hazard is .35 instead of .02.
    """
    rng = np.random.default_rng(seed)
    fades_from = rng.geometric(0.08, customers)
    observed = rng.integers(4, periods + 1, customers)
    rows = {"customer_id": [], "period": [], "activity": [], "days_since": [], "noise": [], "left": []}
    for customer in range(customers):
        for period in range(1, observed[customer] + 1):
            is_fading = period >= fades_from[customer]
            left = rng.random() < (0.35 if is_fading else 0.02)
            rows["customer_id"].append(f"k{customer}")
            rows["period"].append(period)
            rows["activity"].append(rng.normal(-1.5 if is_fading else 1.5))
            rows["days_since"].append(float(rng.exponential(20 if is_fading else 12)))
            rows["noise"].append(rng.normal())
            rows["left"].append(int(left))
            if left:
                break
    return pa.table(rows)


def landmarks(rows, every=1):
    """A row for each customer and period as one for each landmark: features then, followed until the end."""
    frame = rows.to_pandas()
    ends = frame.groupby("customer_id").agg(until=("period", "max"), gone=("left", "max"))
    frame = frame[(frame["period"] - 1) % every == 0].join(ends, on="customer_id")
    frame["since"] = frame["period"] - 1
    return pa.Table.from_pandas(frame.drop(columns=["period", "left"]), preserve_index=False)
