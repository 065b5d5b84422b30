"""Moves between stages and what a stage is worth, on chains whose truth is known."""

import numpy as np
import pytest

from patron.schema.bootstrap_intervals import bootstrap_weights
from patron.understand.stage_transitions import (
    FEWEST,
    STAGES,
    STEPS,
    StageSteps,
    transition_rows,
    transition_shares,
    value_rows,
    worth,
)

NEW, ACTIVE, AT_RISK, LAPSED, REACTIVATED = range(len(STAGES))
TRUTH = np.array([
    [0.1, 0.5, 0.3, 0.1, 0.0],
    [0.0, 0.8, 0.2, 0.0, 0.0],
    [0.0, 0.2, 0.5, 0.3, 0.0],
    [0.0, 0.0, 0.0, 0.9, 0.1],
    [0.0, 0.7, 0.3, 0.0, 0.0],
])  # fmt: skip
PAY = np.array([500.0, 3_000.0, 400.0, 10.0, 2_500.0])


def steps_of(count, seed):
    """Steps of a shop whose customers move by TRUTH and pay PAY on average."""
    rng = np.random.default_rng(seed)
    begin = rng.integers(0, len(STAGES), count)
    end = (rng.random(count)[:, None] > TRUTH[begin].cumsum(axis=1)).sum(axis=1)
    return StageSteps(np.array([f"c{n:06}" for n in range(count)]), begin, end, rng.exponential(PAY[begin]))


def test_the_worth_of_a_stage_is_the_sum_of_what_its_customers_pay_step_by_step():
    rng = np.random.default_rng(0)
    for stage in (ACTIVE, AT_RISK):
        here, paid = np.full(40_000, stage), np.zeros(40_000)
        for _ in range(STEPS):
            paid += PAY[here]
            here = (rng.random(len(here))[:, None] > TRUTH[here].cumsum(axis=1)).sum(axis=1)
        assert worth(TRUTH, PAY)[stage] == pytest.approx(paid.mean(), rel=0.02)


def test_moves_and_worth_are_found_again_and_the_interval_holds_the_truth_as_often_as_it_says():
    held = []
    for seed in range(20):
        steps = steps_of(3_000, seed)
        shares, pay = transition_shares(steps)
        assert np.allclose(shares.sum(axis=1), 1)
        assert np.abs(shares - TRUTH).max() < 0.08
        assert pay == pytest.approx(PAY, rel=0.25, abs=5)
        weights = bootstrap_weights(steps.customer_ids, rng=np.random.default_rng(seed), resamples=200)
        rows = value_rows("r", steps, weights).to_pylist()
        assert [row["lifecycle_stage"] for row in rows] == list(STAGES)
        held += [row["low"] <= true <= row["high"] for row, true in zip(rows, worth(TRUTH, PAY), strict=True)]
    assert 0.85 <= np.mean(held) <= 1.0


def test_a_stage_that_hardly_anybody_was_in_is_not_stated_and_breaks_nothing():
    steps = steps_of(2_000, 1)
    kept = (steps.begin != LAPSED) | (np.arange(2_000) < FEWEST)
    few = StageSteps(steps.customer_ids[kept], steps.begin[kept], steps.end[kept], steps.paid_cents[kept])
    assert 0 < (few.begin == LAPSED).sum() < FEWEST
    weights = bootstrap_weights(few.customer_ids, rng=np.random.default_rng(1), resamples=50)
    rows = value_rows("r", few, weights).to_pylist()
    assert "lapsed" not in {row["lifecycle_stage"] for row in rows}
    assert all(0 < row["low"] <= row["worth_cents"] <= row["high"] for row in rows)


def test_transitions_are_counted_and_shares_of_a_stage_add_up():
    rows = transition_rows("r", steps_of(2_000, 2)).to_pylist()
    assert sum(row["customer_count"] for row in rows) == 2_000
    for stage in STAGES:
        assert sum(row["share"] for row in rows if row["from_stage"] == stage) == pytest.approx(1)
