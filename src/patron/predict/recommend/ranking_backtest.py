"""How recommenders are judged: one time cut, ranked against all products, repeats and discoveries apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.predict.learner import Learner
from patron.predict.recommend.ranking import Codes, distinct, encoded, numbers_of, places
from patron.schema.bootstrap_intervals import bootstrap_weights, percentile_interval
from patron.schema.metrics import ndcg
from patron.schema.numbers import Numbers
from patron.schema.tables import BACKTESTS

TOP = 10
PRIMARY_METRIC = "ndcg_at_10"
METRICS = (PRIMARY_METRIC, "recall_at_10", "novel_ndcg_at_10")
"""Ranking of all that was bought, share of it found in ten, and ranking of what was never bought before: of customers
who bought such a product, the first ten products new to them among those served."""


@dataclass(frozen=True)
class Cut:
    """One origin: what was known, and what was bought in the horizon. Columns customer_id, product_id, days_before."""

    origin: str
    history: pa.Table
    bought: pa.Table


Judged = Mapping[str, tuple[npt.NDArray[np.str_], Numbers]]
"""For each metric: the customers judged and the value of each."""


@dataclass(frozen=True)
class Asked:
    """The customers of a cut who bought after it: their purchases before it, and what is compared with forecasts.

    A pair is customer and product as one number: `customer * len(products) + product`.
    """

    table: pa.Table
    customers: pa.Array
    """In order of their id."""
    products: pa.Array
    truth: Codes
    """Pairs bought after the cut, each once, ascending."""
    owned: Codes
    """Pairs bought before it, likewise."""

    @classmethod
    def of(cls, cut: Cut) -> Self:
        """Number customers and products once a cut, for all its learners."""
        before, after = encoded(cut.history["customer_id"]), encoded(cut.bought["customer_id"])
        known = numbers_of(after.dictionary, before.dictionary) >= 0
        customers = after.dictionary.filter(pa.array(known)).sort()
        is_asked = (numbers_of(before.dictionary, customers) >= 0)[before.indices.to_numpy()]
        asked = cut.history.filter(pa.array(is_asked))
        sold = [encoded(one["product_id"]).dictionary for one in (cut.history, cut.bought)]
        products = pa.concat_arrays(sold).unique()
        owned = distinct(_pairs(asked, customers, products))
        return cls(asked, customers, products, distinct(_pairs(cut.bought, customers, products)), owned)


def judge(learner: Learner, cut: Cut, asked: Asked) -> Judged:
    """Fit before the cut, rank for every customer who bought after it, and look at the first ten."""
    lists = learner.fit(cut.history).predict(asked.table).sort_by([("customer_id", "ascending"), ("rank", "ascending")])
    shown = _pairs(lists, asked.customers, asked.products)
    customers, ranking, recall = _values(shown, asked.truth, asked)
    is_new = ~np.isin(asked.truth, asked.owned, assume_unique=True)
    new_shown = shown[~np.isin(shown, asked.owned, assume_unique=True)]
    new_customers, new_ranking, _ = _values(new_shown, asked.truth[is_new], asked)
    return {
        PRIMARY_METRIC: (customers, ranking),
        "recall_at_10": (customers, recall),
        "novel_ndcg_at_10": (new_customers, new_ranking),
    }


def backtest(learners: Sequence[Learner], cuts: Sequence[Cut], *, run_id: str, rng: np.random.Generator) -> pa.Table:
    """Judge all learners at all cuts: rows of `backtests`, each origin and all together, intervals over customers."""
    judged: dict[tuple[str, str], Judged] = {}
    for cut in cuts:
        asked = Asked.of(cut)
        judged |= {(learner.name, cut.origin): judge(learner, cut, asked) for learner in learners}
    origins = {cut.origin: [cut.origin] for cut in cuts} | {"all": [cut.origin for cut in cuts]}
    pooled = {
        (learner.name, name): {metric: _pooled(judged, learner.name, parts, metric) for metric in METRICS}
        for learner in learners
        for name, parts in origins.items()
    }
    champion = champion_of(learners, {one.name: pooled[one.name, "all"][PRIMARY_METRIC][1].mean() for one in learners})
    baseline = next(one.name for one in learners if one.is_baseline)
    rows = []
    for metric in METRICS:
        for origin in origins:
            units, naive = pooled[baseline, origin][metric]
            weights = bootstrap_weights(units, rng=rng)
            naive_draws = _draws(naive, weights)
            for learner in learners:
                values = pooled[learner.name, origin][metric][1]
                names = {"question": "recommend", "origin": origin, "learner": learner.name, "metric": metric}
                which = {"run_id": run_id, "champion": champion, "baseline": baseline}
                rows.append(names | which | _numbers(values, naive, weights, naive_draws))
    return pa.Table.from_pylist(rows, schema=BACKTESTS.schema())


def champion_of(learners: Sequence[Learner], primary_metric: Mapping[str, float]) -> str:
    """Name the learner with the best primary metric; a baseline only when nothing beats it."""
    return max(learners, key=lambda one: (primary_metric[one.name], not one.is_baseline)).name


def _pooled(
    judged: Mapping[tuple[str, str], Judged], learner: str, origins: Sequence[str], metric: str
) -> tuple[npt.NDArray[np.str_], Numbers]:
    parts = [judged[learner, origin][metric] for origin in origins]
    return np.concatenate([customers for customers, _ in parts]), np.concatenate([values for _, values in parts])


def _numbers(values: Numbers, naive: Numbers, weights: Numbers, naive_draws: Numbers) -> dict[str, float | int]:
    draws = _draws(values, weights)
    own = percentile_interval(_mean(values), draws)
    gain = percentile_interval(_mean(values - naive), draws - naive_draws)
    return {
        "value": own.value,
        "low": own.low,
        "high": own.high,
        "baseline_value": _mean(naive),
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "customer_count": len(values),
    }


def _mean(values: Numbers) -> float:
    return float(values.mean()) if len(values) else np.nan


def _draws(values: Numbers, weights: Numbers) -> Numbers:
    """The mean of each resample; none without customers."""
    return weights @ values / weights.sum(axis=1) if len(values) else np.array([])


def _pairs(table: pa.Table, customers: pa.Array, products: pa.Array) -> Codes:
    """Number the (customer, product) of each row whose customer is one of these."""
    codes = []
    for name, known in (("customer_id", customers), ("product_id", products)):
        column = encoded(table[name])
        codes.append(numbers_of(column.dictionary, known)[column.indices.to_numpy()])
    return (codes[0] * len(products) + codes[1])[codes[0] >= 0]


def _values(shown: Codes, truth: Codes, asked: Asked) -> tuple[npt.NDArray[np.str_], Numbers, Numbers]:
    """NDCG and recall of the first ten products of each customer in the truth, in order of customer_id."""
    per_customer = max(len(asked.products), 1)
    customers, counts = np.unique(truth // per_customer, return_counts=True)
    place = places(shown // per_customer)
    is_hit = (place <= TOP) & np.isin(shown, truth, assume_unique=True)
    gains = np.zeros((len(customers), TOP))
    gains[np.searchsorted(customers, shown[is_hit] // per_customer), place[is_hit] - 1] = 1.0
    found = gains.sum(axis=1) / np.maximum(counts, 1)
    names = np.array(asked.customers.to_pylist(), dtype=np.str_)
    return names[customers], ndcg(gains, counts), found
