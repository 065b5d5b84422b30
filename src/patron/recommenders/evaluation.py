"""Recommenders compared on what users did next: every item ranked, no sampled negatives, paired intervals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.recommenders.best_items import Flags
from patron.recommenders.catalogue import users_of_items
from patron.recommenders.ids import check_same_kind
from patron.recommenders.interactions import Codes, Interactions, codes_of_ids, interaction_table, weights_of
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.errors import BadInteractions
from patron.schema.numbers import Numbers

RESAMPLES, RESAMPLES_AT_A_TIME = 400, 20
MEANS = ("ndcg", "ndcg_cut", "recall", "mrr", "hit_rate", "novelty")
"""Metrics that are means over users."""
RATING_ERRORS = ("rmse", "mae")
NORMAL = 1.96
"""Standard errors on both sides of a value that hold the middle 95 %."""


@dataclass(frozen=True, eq=False)
class UserMetrics:
    """What one learner's lists are worth, user by user."""

    sums: Numbers
    """Users x (MEANS, squared errors, absolute errors, ratings): summed over users, and then divided."""
    coverage: Interval
    has_ratings: bool


@dataclass(frozen=True, eq=False)
class Truth:
    """What the users of the test did, by numbers of the training part; -1 is a user or item that it does not have."""

    users: pa.Array
    code: Codes
    """Number of each user."""
    row: Codes
    """Place in `users` of each row of the test."""
    item: Codes
    """Number of each row's item."""
    is_liked: Flags
    """Whether each row has a weight above 0; others are no hits, but have ratings."""
    item_count: Codes
    """Different items that each user liked, unknown ones included; who has none is in the rating errors alone."""
    rating: Numbers | None
    """Weight of each row, where both parts have weights."""


def evaluate(
    train: Any,
    test: Any,
    learners: Mapping[str, Recommender],
    k: int = 10,
    exclude_seen: bool = True,  # noqa: FBT001, FBT002 - the interface
    *,
    seed: int = 0,
) -> pa.Table:
    """Fit each learner to `train` and rank all items for every user of `test`; one row per learner.

    Columns are learner, ndcg (the ideal list has the whole basket), ndcg_cut (it has k items), recall, mrr, hit_rate,
    novelty (bits), coverage (share of the items that somebody is shown), ndcg_cut_gain (over the first learner, on the
    same users), and rmse and mae of learners that predict ratings, where both parts have a weight; each with `_low` and
    `_high`, the middle 95 % of resamples of users, which are the same for all learners; of coverage, 1.96 standard
    errors of a jackknife over users. A user or an item that `train` does not have is a miss. Rows of `test` whose
    weight is 0 or less are no hits. Raises BadInteractions, NotEnoughData.
    """
    known = Interactions.of(train)
    truth = _truth(interaction_table(test), known, is_rated=_has_weight(train) and _has_weight(test))
    metrics = [_measure(learner.fit(known), truth, known, k, repeats=not exclude_seen) for learner in learners.values()]
    totals = _totals(metrics, truth.item_count > 0, seed) if metrics else []
    rows = [_row(one, of_one, totals[0]) for one, of_one in zip(metrics, totals, strict=True)]
    return pa.Table.from_pylist([{"learner": name} | row for name, row in zip(learners, rows, strict=True)])


def _has_weight(frame: Any) -> bool:
    return "weight" in interaction_table(frame).column_names


def _truth(test: pa.Table, known: Interactions, *, is_rated: bool) -> Truth:
    if not test.num_rows:
        raise BadInteractions("the test part has no row", where="evaluate", todo="Split at another time.")
    check_same_kind("user_id", test["user_id"], known.users)
    check_same_kind("item_id", test["item_id"], known.items)
    encoded = test["user_id"].combine_chunks().dictionary_encode()
    items = test["item_id"].combine_chunks().dictionary_encode()
    row, weight = np.asarray(encoded.indices, dtype=np.int64), weights_of(test)
    is_liked = weight > 0
    if not is_liked.any():
        what = "no row of the test part has a weight above 0"
        raise BadInteractions(what, where="evaluate", todo="Weights say how much a row counts, or are ratings.")
    pairs = np.unique((row * len(items.dictionary) + np.asarray(items.indices, dtype=np.int64))[is_liked])
    return Truth(
        encoded.dictionary,
        codes_of_ids(encoded.dictionary, known.users),
        row=row,
        item=codes_of_ids(test["item_id"], known.items),
        is_liked=is_liked,
        item_count=np.bincount(pairs // len(items.dictionary), minlength=len(encoded.dictionary)),
        rating=weight if is_rated else None,
    )


def _measure(fitted: FittedRecommender, truth: Truth, known: Interactions, k: int, *, repeats: bool) -> UserMetrics:
    shown = _recommended_items(fitted, truth, k, repeats=repeats)
    item_count = len(known.items)
    is_hittable = truth.is_liked & (truth.item >= 0)
    pairs = np.unique(truth.row[is_hittable] * item_count + truth.item[is_hittable])
    rows = np.arange(len(truth.users))[:, None]
    is_hit = (shown >= 0) & np.isin(rows * item_count + shown, pairs)
    discount = 1 / np.log2(np.arange(2, k + 2))
    counts = np.maximum(truth.item_count, 1)  # who liked nothing has no hit
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, int(counts.max()) + 2)))])
    gained, rank = is_hit @ discount, np.arange(1, k + 1)
    means = {
        "ndcg": gained / ideal[counts],
        "ndcg_cut": gained / ideal[np.minimum(counts, k)],
        "recall": is_hit.sum(axis=1) / counts,
        "mrr": (is_hit / rank).max(axis=1),
        "hit_rate": is_hit.any(axis=1).astype(np.float64),
        "novelty": _novelty(shown, known),
    }
    errors = _errors(fitted, truth)
    sums = [means[name] for name in MEANS] + list(np.zeros((3, len(shown))) if errors is None else errors)
    return UserMetrics(np.column_stack(sums), _coverage(shown[truth.item_count > 0], item_count), errors is not None)


def _recommended_items(fitted: FittedRecommender, truth: Truth, k: int, *, repeats: bool) -> Codes:
    """Users x k items by number; -1 for users that the training part does not have, and for those who liked nothing."""
    shown = np.full((len(truth.users), k), -1, dtype=np.int64)
    of_code = np.full(int(truth.code.max(initial=0)) + 1, -1, dtype=np.int64)
    has_list = (truth.code >= 0) & (truth.item_count > 0)
    of_code[truth.code[has_list]] = np.flatnonzero(has_list)
    lists = fitted.recommend(truth.users.filter(pa.array(has_list)), k, not repeats)
    users = of_code[codes_of_ids(lists["user_id"], fitted.catalogue.users)]
    shown[users, lists["rank"].to_numpy() - 1] = codes_of_ids(lists["item_id"], fitted.catalogue.items)
    return shown


def _novelty(shown: Codes, known: Interactions) -> Numbers:
    """Mean over a user's list of -log2 of the share of users who had the item, bits; 0 for an empty list."""
    share = users_of_items(known) / len(known.users)
    bits = np.where(shown >= 0, -np.log2(share)[shown], 0.0)
    return bits.sum(axis=1) / np.maximum((shown >= 0).sum(axis=1), 1)


def _coverage(shown: Codes, item_count: int) -> Interval:
    """Share of the items that somebody is shown, with the jackknife's standard error.

    A resample of users has 63 % of them, and so fewer items; leaving out one user takes away what nobody else is shown.
    The jackknife's variance is too large rather than too small (Efron and Stein, 1981).
    """
    user, place = np.nonzero(shown >= 0)
    item = shown[user, place]
    users = np.bincount(item, minlength=item_count)
    alone = np.bincount(user, users[item] == 1, len(shown))
    value, error = float((users > 0).mean()), float(np.sqrt(len(shown) - 1) * alone.std() / item_count)
    return Interval(value, max(value - NORMAL * error, 0.0), min(value + NORMAL * error, 1.0))


def _errors(fitted: FittedRecommender, truth: Truth) -> tuple[Numbers, Numbers, Numbers] | None:
    """Squared errors, absolute errors and ratings of each user, summed; None of a learner that predicts none."""
    if truth.rating is None:
        return None
    forecast = fitted.ratings(truth.code[truth.row], truth.item)
    if forecast is None:
        return None
    error = forecast - truth.rating
    squared, absolute, ratings = (
        np.bincount(truth.row, values, len(truth.users)).astype(np.float64)
        for values in (error**2, abs(error), np.ones(len(error)))
    )
    return squared, absolute, ratings


def _totals(metrics: list[UserMetrics], is_judged: Flags, seed: int) -> list[Numbers]:
    """For each learner (all users, then each resample) x (MEANS, squared and absolute errors a rating)."""
    columns = np.column_stack([is_judged, *(metric.sums for metric in metrics)]).astype(np.float64)
    totals = np.concatenate([columns.sum(axis=0)[None], *(drawn @ columns for drawn in _resamples(len(columns), seed))])
    judged, width = np.maximum(totals[:, :1], 1), metrics[0].sums.shape[1]
    parts = (totals[:, at : at + width] for at in range(1, totals.shape[1], width))
    return [
        np.column_stack([part[:, : len(MEANS)] / judged, part[:, -3:-1] / np.maximum(part[:, -1:], 1)])
        for part in parts
    ]


def _row(one: UserMetrics, totals: Numbers, first: Numbers) -> dict[str, float | None]:
    """Metrics of a learner with their intervals; the gain is over the first learner."""
    means = dict(zip(MEANS, totals.T, strict=False))
    squared, absolute = totals[:, len(MEANS) :].T
    place = MEANS.index("ndcg_cut")
    columns = means | {"ndcg_cut_gain": totals[:, place] - first[:, place], "rmse": np.sqrt(squared), "mae": absolute}
    ends = {name: percentile_interval(float(values[0]), values[1:]) for name, values in columns.items()}
    row: dict[str, float | None] = {}
    ends["coverage"] = one.coverage
    for name in (*MEANS, "coverage", "ndcg_cut_gain", *RATING_ERRORS):
        numbers = (ends[name].value, ends[name].low, ends[name].high)
        is_missing = name in RATING_ERRORS and not one.has_ratings
        row |= zip((name, f"{name}_low", f"{name}_high"), (None,) * 3 if is_missing else numbers, strict=True)
    return row


def _resamples(count: int, seed: int) -> Iterator[Numbers]:
    """How often each user is drawn, some resamples at a time; the same for the same seed."""
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES // RESAMPLES_AT_A_TIME):
        yield bootstrap_weights(np.arange(count), rng=rng, resamples=RESAMPLES_AT_A_TIME)
