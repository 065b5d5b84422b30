"""Recommenders compared on what users did next: every item ranked, no sampled negatives, paired intervals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.recommenders.catalogue import users_of_items
from patron.recommenders.ids import check_same_kind
from patron.recommenders.interactions import Codes, Interactions, codes_of_ids, interaction_table, weights_of
from patron.recommenders.learner import Fitted, Learner
from patron.schema.bootstrap_intervals import percentile_interval
from patron.schema.errors import BadInteractions
from patron.schema.numbers import Numbers

RESAMPLES, RESAMPLES_AT_A_TIME = 400, 20
MEANS = ("ndcg", "ndcg_cut", "recall", "mrr", "hit_rate", "novelty")
"""Metrics that are means over users."""
GAIN = "ndcg_cut_gain"
RATING_ERRORS = ("rmse", "mae")


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
    item_count: Codes
    """Different items of each user, unknown ones included."""
    rating: Numbers | None
    """Weight of each row, where both parts have weights."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One learner's lists, measured user by user."""

    means: Mapping[str, Numbers]
    shown: Codes
    """Users x k items, -1 after the last."""
    errors: Numbers | None
    """Users x (squared errors, absolute errors, ratings), summed; None for a learner that predicts none."""


def evaluate(
    train: Any,
    test: Any,
    learners: Mapping[str, Learner],
    k: int = 10,
    exclude_seen: bool = True,  # noqa: FBT001, FBT002 - the interface
    *,
    seed: int = 0,
) -> pa.Table:
    """Fit each learner to `train` and rank all items for every user of `test`; one row per learner.

    Columns are learner, ndcg (the ideal list has the whole basket), ndcg_cut (it has k items), recall, mrr, hit_rate,
    novelty (bits), coverage (share of the items that somebody is shown), ndcg_cut_gain (over the first learner, on the
    same users), and rmse and mae of learners that predict ratings, where both parts have a weight; each with `_low` and
    `_high`, the middle 95 % of resamples of users, which are the same for all learners. A user or an item that `train`
    does not have is a miss. Raises BadInteractions, NotEnoughData.
    """
    known = Interactions.of(train)
    truth = _truth(interaction_table(test), known, is_rated=_has_weight(train) and _has_weight(test))
    measured = {
        name: _measure(learner.fit(known), truth, known, k, repeats=not exclude_seen)
        for name, learner in learners.items()
    }
    first = next(iter(measured.values())).means["ndcg_cut"] if measured else np.empty(0)
    return pa.Table.from_pylist(
        [{"learner": name} | _row(one, first, len(known.items), seed) for name, one in measured.items()]
    )


def _has_weight(frame: Any) -> bool:
    return "weight" in interaction_table(frame).column_names


def _truth(test: pa.Table, known: Interactions, *, is_rated: bool) -> Truth:
    if not test.num_rows:
        raise BadInteractions("the test part has no row", where="evaluate", todo="Split at another time.")
    check_same_kind("user_id", test["user_id"], known.users)
    check_same_kind("item_id", test["item_id"], known.items)
    encoded = test["user_id"].combine_chunks().dictionary_encode()
    items = test["item_id"].combine_chunks().dictionary_encode()
    row = np.asarray(encoded.indices, dtype=np.int64)
    pairs = np.unique(row * len(items.dictionary) + np.asarray(items.indices, dtype=np.int64))
    return Truth(
        encoded.dictionary,
        codes_of_ids(encoded.dictionary, known.users),
        row,
        codes_of_ids(test["item_id"], known.items),
        np.bincount(pairs // len(items.dictionary), minlength=len(encoded.dictionary)),
        weights_of(test) if is_rated else None,
    )


def _measure(fitted: Fitted, truth: Truth, known: Interactions, k: int, *, repeats: bool) -> Measured:
    shown = _shown(fitted, truth, k, repeats=repeats)
    item_count = len(known.items)
    is_known = truth.item >= 0
    pairs = np.unique(truth.row[is_known] * item_count + truth.item[is_known])
    rows = np.arange(len(truth.users))[:, None]
    is_hit = (shown >= 0) & np.isin(rows * item_count + shown, pairs)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, int(truth.item_count.max()) + 2)))])
    gained, rank = is_hit @ discount, np.arange(1, k + 1)
    means = {
        "ndcg": gained / ideal[truth.item_count],
        "ndcg_cut": gained / ideal[np.minimum(truth.item_count, k)],
        "recall": is_hit.sum(axis=1) / truth.item_count,
        "mrr": (is_hit / rank).max(axis=1),
        "hit_rate": is_hit.any(axis=1).astype(np.float64),
        "novelty": _novelty(shown, known),
    }
    return Measured(means, shown, _errors(fitted, truth))


def _shown(fitted: Fitted, truth: Truth, k: int, *, repeats: bool) -> Codes:
    """Users x k items by number; -1 for users that the training part does not have, whose lists are a miss."""
    shown = np.full((len(truth.users), k), -1, dtype=np.int64)
    of_code = np.full(int(truth.code.max(initial=0)) + 1, -1, dtype=np.int64)
    of_code[truth.code[truth.code >= 0]] = np.flatnonzero(truth.code >= 0)
    lists = fitted.recommend(truth.users.filter(pa.array(truth.code >= 0)), k, not repeats)
    users = of_code[codes_of_ids(lists["user_id"], fitted.catalogue.users)]
    shown[users, lists["rank"].to_numpy() - 1] = codes_of_ids(lists["item_id"], fitted.catalogue.items)
    return shown


def _novelty(shown: Codes, known: Interactions) -> Numbers:
    """Mean over a user's list of -log2 of the share of users who had the item, bits; 0 for an empty list."""
    share = users_of_items(known) / len(known.users)
    bits = np.where(shown >= 0, -np.log2(share)[shown], 0.0)
    return bits.sum(axis=1) / np.maximum((shown >= 0).sum(axis=1), 1)


def _errors(fitted: Fitted, truth: Truth) -> Numbers | None:
    if truth.rating is None:
        return None
    forecast = fitted.ratings(truth.code[truth.row], truth.item)
    if forecast is None:
        return None
    error = forecast - truth.rating
    sums = (
        np.bincount(truth.row, values, len(truth.users)).astype(np.float64)
        for values in (error**2, abs(error), np.ones(len(error)))
    )
    return np.column_stack(list(sums))


def _row(one: Measured, first: Numbers, item_count: int, seed: int) -> dict[str, float | None]:
    """Metrics of a learner with their intervals."""
    names, count = (*MEANS, GAIN, "coverage", *RATING_ERRORS), len(first)
    values = np.column_stack([*one.means.values(), one.means["ndcg_cut"] - first])
    errors = np.zeros((count, 3)) if one.errors is None else one.errors
    everybody, *draws = (
        _metrics(weights, values, errors, one.shown, item_count)
        for weights in (np.ones((1, count)), *_resamples(count, seed))
    )
    resampled = np.concatenate(draws)
    row: dict[str, float | None] = {}
    for name, value, of_resamples in zip(names, everybody[0], resampled.T, strict=True):
        if name in RATING_ERRORS and one.errors is None:
            row |= dict.fromkeys((name, f"{name}_low", f"{name}_high"))
            continue
        ends = percentile_interval(float(value), of_resamples)
        row |= {name: ends.value, f"{name}_low": ends.low, f"{name}_high": ends.high}
    return row


def _resamples(count: int, seed: int) -> Iterator[Numbers]:
    """How often each user is drawn, some resamples at a time; the same for the same seed."""
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES // RESAMPLES_AT_A_TIME):
        places = rng.integers(0, count, (RESAMPLES_AT_A_TIME, count)) + count * np.arange(RESAMPLES_AT_A_TIME)[:, None]
        counts = np.bincount(places.ravel(), minlength=RESAMPLES_AT_A_TIME * count)
        yield counts.reshape(RESAMPLES_AT_A_TIME, count).astype(np.float64)


def _metrics(
    weights: Numbers, values: Numbers, errors: Numbers, shown: npt.NDArray[np.int64], item_count: int
) -> Numbers:
    """Resamples x (means, coverage, RMSE, MAE)."""
    means = weights @ values / weights.sum(axis=1, keepdims=True)
    covered = [len(np.unique(shown[drawn > 0][shown[drawn > 0] >= 0])) / max(item_count, 1) for drawn in weights]
    squared, absolute, ratings = np.maximum(weights @ errors, [0.0, 0.0, 1e-12]).T
    return np.column_stack([means, covered, np.sqrt(squared / ratings), absolute / ratings])
