"""How recommenders are judged: one time cut, ranked against all products, repeats and discoveries apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.base.intervals import Interval, bootstrap_weights, percentile_interval
from patron.base.stats import Numbers, ndcg
from patron.base.tables import BACKTESTS
from patron.predict.learner import Learner
from patron.predict.recommend.ranking import places

TOP = 10
HEADLINE = "ndcg_at_10"
METRICS = (HEADLINE, "recall_at_10", "novel_ndcg_at_10")
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


def judge(learner: Learner, cut: Cut) -> Judged:
    """Fit before the cut, rank for every customer who bought after it, and look at the first ten."""
    before = pc.unique(cut.history["customer_id"])
    truth = cut.bought.filter(pc.is_in(cut.bought["customer_id"], before)).select(["customer_id", "product_id"])
    truth = truth.group_by(["customer_id", "product_id"]).aggregate([])
    asked = cut.history.filter(pc.is_in(cut.history["customer_id"], pc.unique(truth["customer_id"])))
    lists = learner.fit(cut.history).predict(asked)
    owned = asked.group_by(["customer_id", "product_id"]).aggregate([])
    new_truth, new_lists = _without(truth, owned), _without(lists, owned)
    customers, ranking, recall = _values(lists, truth)
    new_customers, new_ranking, _ = _values(new_lists, new_truth)
    return {
        HEADLINE: (customers, ranking),
        "recall_at_10": (customers, recall),
        "novel_ndcg_at_10": (new_customers, new_ranking),
    }


def backtest(learners: Sequence[Learner], cuts: Sequence[Cut], *, turn_id: str, rng: np.random.Generator) -> pa.Table:
    """Judge all learners at all cuts: rows of `backtests`, each origin and all together, intervals over customers."""
    judged = {(learner.name, cut.origin): judge(learner, cut) for learner in learners for cut in cuts}
    origins = {cut.origin: [cut.origin] for cut in cuts} | {"all": [cut.origin for cut in cuts]}
    pooled = {
        (learner.name, name): {metric: _pooled(judged, learner.name, parts, metric) for metric in METRICS}
        for learner in learners
        for name, parts in origins.items()
    }
    champion = champion_of(learners, {one.name: pooled[one.name, "all"][HEADLINE][1].mean() for one in learners})
    baseline = next(one.name for one in learners if one.is_baseline)
    rows = []
    for metric in METRICS:
        for origin in origins:
            units, naive = pooled[baseline, origin][metric]
            weights = bootstrap_weights(units, rng=rng)
            for learner in learners:
                values = pooled[learner.name, origin][metric][1]
                names = {"question": "recommend", "origin": origin, "learner": learner.name, "metric": metric}
                which = {"turn_id": turn_id, "champion": champion, "baseline": baseline}
                rows.append(names | which | _numbers(values, naive, weights))
    return pa.Table.from_pylist(rows, schema=BACKTESTS.schema())


def champion_of(learners: Sequence[Learner], headline: Mapping[str, float]) -> str:
    """Name the learner with the best headline; a baseline only when nothing beats it."""
    return max(learners, key=lambda one: (headline[one.name], not one.is_baseline)).name


def _pooled(
    judged: Mapping[tuple[str, str], Judged], learner: str, origins: Sequence[str], metric: str
) -> tuple[npt.NDArray[np.str_], Numbers]:
    parts = [judged[learner, origin][metric] for origin in origins]
    return np.concatenate([customers for customers, _ in parts]), np.concatenate([values for _, values in parts])


def _numbers(values: Numbers, naive: Numbers, weights: Numbers) -> dict[str, float | int]:
    own, gain = _mean(values, weights), _mean(values - naive, weights)
    return {
        "value": own.value,
        "low": own.low,
        "high": own.high,
        "baseline_value": _mean(naive, weights).value,
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "customer_count": len(values),
    }


def _mean(values: Numbers, weights: Numbers) -> Interval:
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    return percentile_interval(float(values.mean()), weights @ values / weights.sum(axis=1))


def _without(pairs: pa.Table, owned: pa.Table) -> pa.Table:
    return pairs.join(owned, keys=["customer_id", "product_id"], join_type="left anti")


def _values(lists: pa.Table, truth: pa.Table) -> tuple[npt.NDArray[np.str_], Numbers, Numbers]:
    """NDCG and recall of the first ten products of each customer in the truth, in order of customer_id."""
    customers = pc.unique(truth["customer_id"]).sort()
    place = pc.index_in(truth["customer_id"], customers)
    counts = np.bincount(np.asarray(place.to_numpy(), dtype=np.int64), minlength=len(customers))
    lists = lists.sort_by([("customer_id", "ascending"), ("rank", "ascending")])
    codes = lists["customer_id"].combine_chunks().dictionary_encode().indices
    lists = lists.append_column("place", pa.array(places(np.asarray(codes.to_numpy(), dtype=np.int64))))
    hits = lists.filter(pc.less_equal(lists["place"], TOP)).join(
        truth, keys=["customer_id", "product_id"], join_type="inner"
    )
    gains = np.zeros((len(customers), TOP))
    rows = np.asarray(pc.index_in(hits["customer_id"], customers).to_numpy(), dtype=np.int64)
    gains[rows, hits["place"].to_numpy() - 1] = 1.0
    found = gains.sum(axis=1) / np.maximum(counts, 1)
    return np.array(customers.to_pylist(), dtype=np.str_), ndcg(gains, counts), found
