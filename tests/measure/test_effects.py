import numpy as np
import pytest

from patron.measure.effect_measurement import effect_rows


def truth(stratum):
    return 300.0 if "deals_high" in stratum else -100.0


def test_the_intervals_of_the_strata_contain_the_true_effects(world):
    rows = [row for row in effect_rows(world(6_000)) if row["offer"] == "ten" and row["stratum"] != "all"]
    assert len(rows) == 18
    inside = [row["low"] <= truth(row["stratum"]) <= row["high"] for row in rows]
    assert sum(inside) >= 15


def test_a_placebo_contains_zero_about_as_often_as_promised(world):
    covered = []
    for seed in range(40):
        rows = effect_rows(world(400, seed, lift=0.0, loss=0.0))
        covered += [row["low"] <= 0 <= row["high"] for row in rows if row["stratum"] == "all"]
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / len(covered))


def test_nothing_is_claimed_of_what_was_not_randomised(world):
    drawn = world(500)
    certain = drawn.rows(np.flatnonzero(drawn.is_holdout))
    assert effect_rows(certain) == []


def test_the_effects_that_decide_are_shrunk_and_those_that_are_shown_are_not(world):
    rows = [row for row in effect_rows(world(600)) if row["offer"] == "ten" and row["stratum"] != "all"]
    decided, measured = (np.array([row[name] for row in rows]) for name in ("effect_cents", "adjusted_cents"))
    assert decided.std() < 0.5 * measured.std()
    assert all(row["standard_error"] < row["adjusted_high"] - row["adjusted_low"] for row in rows)


@pytest.mark.parametrize("seed", range(3))
def test_estimates_do_not_depend_on_the_order_of_the_rows(world, seed):
    drawn = world(800, seed)
    shuffled = drawn.rows(np.random.default_rng(seed).permutation(len(drawn.margin_cents)))
    for one, other in zip(effect_rows(drawn), effect_rows(shuffled), strict=True):
        assert one["stratum"] == other["stratum"]
        assert one["effect_cents"] == pytest.approx(other["effect_cents"], abs=1e-4)
