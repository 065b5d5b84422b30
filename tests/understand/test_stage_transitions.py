"""Moves between stages, and what the customers of a stage paid, on shops whose truth is known."""

import numpy as np
import pytest

from patron.schema.tables import LIFECYCLE_STAGES as STAGES
from patron.understand.stage_transitions import MIN_COUNT, PastStages, transition_rows, value_rows

NEW, ACTIVE, AT_RISK, LAPSED, REACTIVATED = range(len(STAGES))
TRUTH = np.array([
    [0.1, 0.5, 0.3, 0.1, 0.0],
    [0.0, 0.8, 0.2, 0.0, 0.0],
    [0.0, 0.2, 0.5, 0.3, 0.0],
    [0.0, 0.0, 0.0, 0.9, 0.1],
    [0.0, 0.7, 0.3, 0.0, 0.0],
])  # fmt: skip
PAY = np.array([500.0, 3_000.0, 400.0, 10.0, 2_500.0])
FIRST = np.datetime64("2024-01-01", "us")
CUTOFFS = FIRST + np.arange(3) * np.timedelta64(30, "D")


def past_of(count, seed, cutoffs=CUTOFFS):
    """Customers who move by TRUTH between cutoffs, and pay PAY on average, each by a rate of their own."""
    rng = np.random.default_rng(seed)
    customers, rate = np.array([f"c{n:06}" for n in range(count)]), rng.gamma(2.0, 0.5, count)
    stage, stages = rng.integers(0, len(STAGES), count), []
    for _ in cutoffs:
        stages.append(stage)
        stage = (rng.random(count)[:, None] > TRUTH[stage].cumsum(axis=1)).sum(axis=1)
    every = np.concatenate(stages)
    paid = rng.exponential(PAY[every] * np.tile(rate, len(cutoffs)))
    return PastStages(np.tile(customers, len(cutoffs)), np.repeat(cutoffs, count), every, paid)


def test_moves_are_found_again_and_shares_of_a_stage_add_up():
    rows = transition_rows("r", past_of(5_000, 1)).to_pylist()
    assert sum(row["customer_count"] for row in rows) == 2 * 5_000
    shares = np.zeros_like(TRUTH)
    for row in rows:
        shares[STAGES.index(row["from_stage"]), STAGES.index(row["to_stage"])] = row["share"]
    assert shares.sum(axis=1) == pytest.approx(1)
    assert np.abs(shares - TRUTH).max() < 0.05


def test_cutoffs_that_are_not_30_days_apart_make_no_step():
    assert transition_rows("r", past_of(100, 1, CUTOFFS[::2])).num_rows == 0
    assert transition_rows("r", past_of(100, 1, CUTOFFS[:1])).num_rows == 0


def test_the_interval_of_what_a_stage_paid_holds_the_truth_although_customers_are_seen_again():
    held = []
    for seed in range(30):
        rows = value_rows("r", past_of(1_500, seed)).to_pylist()
        assert [row["lifecycle_stage"] for row in rows] == list(STAGES)
        held += [row["low"] <= true <= row["high"] for row, true in zip(rows, PAY, strict=True)]
    assert 0.9 <= np.mean(held) <= 0.99


def test_whoever_is_seen_at_several_cutoffs_counts_once_in_the_error():
    once = past_of(400, 3, CUTOFFS[:1])
    thrice = PastStages(*(np.tile(part, 3) for part in vars(once).values()))
    assert value_rows("r", once).to_pylist() == value_rows("r", thrice).to_pylist()


def test_a_stage_that_hardly_anybody_was_in_is_not_stated():
    past = past_of(600, 1)
    lapsed = np.unique(past.customer_ids[past.stages == LAPSED])[: MIN_COUNT - 1]
    kept = (past.stages != LAPSED) | np.isin(past.customer_ids, lapsed)
    few = PastStages(*(part[kept] for part in vars(past).values()))
    assert 0 < len(np.unique(few.customer_ids[few.stages == LAPSED])) < MIN_COUNT
    assert "lapsed" not in {row["lifecycle_stage"] for row in value_rows("r", few).to_pylist()}
    nobody = PastStages(*(part[:0] for part in vars(past).values()))
    assert (transition_rows("r", nobody).num_rows, value_rows("r", nobody).num_rows) == (0, 0)
