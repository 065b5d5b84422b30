"""Trials that no effect can be learned from are refused in words, and odd ones carry findings."""

import numpy as np
import pytest

from patron.schema.errors import BadTrial, NotEnoughData
from patron.uplift import DEFAULT, DRLearner, FittedUplift, TLearner, choose_policy
from uplift_trials import shop_trial


def trial(count=400, **columns):
    rng = np.random.default_rng(3)
    table = {"x": rng.normal(size=count), "arm": rng.integers(0, 2, count), "y": rng.normal(size=count)}
    return table | columns


def fit(table, **settings):
    return DEFAULT.fit(table, **({"treatment": "arm", "control": 0, "outcome": "y"} | settings))


ARM = trial()["arm"]


@pytest.mark.parametrize(
    ("table", "settings", "words"),
    [
        (trial(arm=np.ones(400, dtype=int)), {"control": 1}, "every row is in arm 1"),
        (trial(), {"control": "none"}, "no row is in the control arm none"),
        (trial(y=ARM.astype(float)), {}, "the arm alone explains the outcome"),
        (trial(x=ARM + 0.0), {}, "the features tell who got which arm"),
        (trial(), {"treatment": "offer"}, "no column offer"),
        (trial(), {"features": ["x", "y"]}, "y is the treatment, the outcome"),
        (trial(), {"features": ["z"]}, "no column z"),
        (trial(y=[None, *([1.0] * 399)]), {}, "missing or infinite"),
        (trial(y=["much"] * 400), {}, "texts where numbers"),
        (trial(arm=[None, *ARM[1:].tolist()]), {}, "have no arm"),
        (trial(), {"propensity": {0: 1.0, 1: 0.0}}, "a probability of"),
        (trial(), {"propensity": {0: 0.5, 1: 0.6}}, "add up to 1.1"),
        (trial(), {"propensity": {0: 0.5, 2: 0.5}}, "2 is not an arm"),
        (trial(p=np.where(ARM == 1, 1.0, 0.5)), {"propensity": "p"}, "a probability of 1"),
        (trial(), {"propensity": np.where(ARM == 1, 0.9, 0.1)}, "does not fit the rows of arm"),
        (trial(), {"propensity": np.full(3, 0.5)}, "3 probabilities, and 400 rows"),
        ([1, 2, 3], {}, "a table is needed"),
    ],
    ids=str,
)
def test_bad_trials_are_refused(table, settings, words):
    with pytest.raises(BadTrial, match=words):
        fit(table, **settings)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"x": np.zeros(0), "arm": np.zeros(0, dtype=int), "y": np.zeros(0)}, "no customers"),
        (trial(30), "rows; 20 are needed"),
        (trial(y=np.zeros(400)), "every outcome is 0"),
    ],
)
def test_too_little_is_refused(table, words):
    with pytest.raises(NotEnoughData, match=words):
        fit(table)


def test_known_probabilities_may_be_shares_a_column_or_an_array():
    rng = np.random.default_rng(4)
    x = rng.normal(size=1_000)
    chance = 1 / (1 + np.exp(-x))
    arm = (rng.random(1_000) < chance).astype(int)
    table = {"x": x, "arm": arm, "y": x + arm + rng.normal(size=1_000), "p": chance}
    as_array = fit({name: table[name] for name in ("x", "arm", "y")}, propensity=chance)
    as_column = fit(table, propensity="p")
    assert np.allclose(as_array.effect_matrix(table), as_column.effect_matrix(table))
    assert as_column.encoding.names == ("x",)
    assert abs(as_column.effect_matrix(table).mean() - 1) < 0.3


def test_declared_shares_hold_for_the_policy_too_and_are_saved(tmp_path):
    fitted = fit(trial(), propensity={False: 0.5, 1: 0.5})
    fitted.save(tmp_path)
    again = FittedUplift.load(tmp_path)
    assert again.propensity == fitted.propensity == {"0": 0.5, "1": 0.5}
    policies = [
        choose_policy(one, trial(), treatment="arm", outcome="y", cost={1: 0.0}, propensity=propensity)
        for one, propensity in ((fitted, None), (again, None), (again, {0: 0.5, 1: 0.5}))
    ]
    assert policies[0].values == policies[1].values == policies[2].values


def test_with_several_offers_a_column_holds_the_probability_of_the_row_s_arm():
    table, effects = shop_trial(2_000, 40)
    settings = {"treatment": "offer", "control": "none", "outcome": "outcome"}
    estimate = DEFAULT.fit(table | {"p": [1 / 3] * 2_000}, **settings, propensity="p").effect_matrix(table)
    assert abs(estimate.mean(axis=0) - effects.mean(axis=0)).max() < 0.2
    with pytest.raises(BadTrial, match="probability of the arm that the row got"):
        DEFAULT.fit(table | {"p": [0.8] * 2_000}, **settings, propensity="p")


def test_a_column_that_the_arm_changed_is_pointed_at():
    rng = np.random.default_rng(6)
    later = ARM + rng.normal(size=400)
    fitted = fit(trial(clicks=later), propensity={0: 0.5, 1: 0.5})
    assert any("clicks differs" in finding for finding in fitted.findings)
    assert fit(trial(), propensity={0: 0.5, 1: 0.5}).findings == ()


def test_customers_who_had_hardly_a_choice_are_pointed_at():
    rng = np.random.default_rng(7)
    x = rng.normal(size=2_000)
    arm = (rng.random(2_000) < 1 / (1 + np.exp(-3 * x))).astype(int)
    fitted = fit({"x": x, "arm": arm, "y": x + rng.normal(size=2_000)})
    assert any("below 1% of one of the arms" in finding for finding in fitted.findings)


class Mean:
    """A regressor of another package, as plain as can be."""

    def fit(self, matrix, outcome):  # noqa: ARG002 - as scikit-learn calls it
        self.mean = outcome.mean()
        return self

    def predict(self, matrix):
        return np.full(len(matrix), self.mean)


def test_a_base_may_be_of_another_package_and_cannot_be_saved(tmp_path):
    table = trial()
    fitted = TLearner(Mean()).fit(table, treatment="arm", outcome="y")
    gap = table["y"][ARM == 1].mean() - table["y"][ARM == 0].mean()
    assert fitted.effects(table)["1"].to_numpy() == pytest.approx(np.full(400, gap))
    with pytest.raises(BadTrial, match="without a pickle"):
        fitted.save(tmp_path)
    with pytest.raises(BadTrial, match="no base 'forest'"):
        DRLearner("forest").fit(table, treatment="arm", outcome="y")


def test_trees_are_saved_as_text(tmp_path):
    fitted = DRLearner("lightgbm").fit(trial(), treatment="arm", outcome="y", features=["x"])
    fitted.save(tmp_path)
    assert FittedUplift.load(tmp_path).effects(trial()).equals(fitted.effects(trial()))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json"}
