"""Numbers of scikit-uplift 0.5.1, EconML 0.17.0 and maq 0.2.2 that the tests of `patron.uplift` hold.

In an environment of its own with `pip install scikit-uplift==0.5.1 econml==0.17.0 pyarrow`, grf-labs/maq built from
source, and Patron's `src` and the repository on the path: `python benchmarks/uplift/peer_numbers.py`. It prints JSON;
rows are those of the tests.
"""

import json
import sys
from typing import Any

import numpy as np
from tests.support.uplift_trials import BUDGETS, CASES, curve_rows, effect_rows, trial_rows


def sklift_numbers() -> dict[str, Any]:
    """Qini, AUUC and uplift at 30 % of scikit-uplift."""
    from sklift.metrics import qini_auc_score, uplift_at_k, uplift_auc_score  # noqa: PLC0415 - the peer's half

    numbers = {}
    for case in CASES:
        rows = trial_rows(case)
        ordered = (rows["outcome"], rows["effect"], rows["treatment"])
        numbers[case] = {
            "qini": qini_auc_score(*ordered),
            "auuc": uplift_auc_score(*ordered),
            "uplift_at": uplift_at_k(*ordered, strategy="overall", k=0.3),
        }
    return numbers


class ArmMeans:
    """Least squares for each arm, as the regression model that EconML asks for: features, then 0/1 an offer."""

    def fit(self, rows: Any, outcome: Any) -> "ArmMeans":
        """Solve each arm."""
        features, arm = rows[:, :3], rows[:, 3:] @ [1, 2]
        design = np.column_stack([np.ones(len(rows)), features])
        self.slopes = [np.linalg.lstsq(design[arm == at], outcome.ravel()[arm == at])[0] for at in range(3)]
        return self

    def predict(self, rows: Any) -> Any:
        """Mean of each row's arm."""
        arm = (rows[:, 3:] @ [1, 2]).astype(int)
        design = np.column_stack([np.ones(len(rows)), rows[:, :3]])
        return np.array([design[at] @ self.slopes[arm[at]] for at in range(len(rows))])


class Thirds:
    """Known probabilities of three arms."""

    classes_ = np.arange(3)

    def fit(self, rows: Any, arm: Any) -> "Thirds":  # noqa: ARG002 - as EconML calls it
        """Nothing to learn."""
        return self

    def predict_proba(self, rows: Any) -> Any:
        """A third each."""
        return np.full((len(rows), 3), 1 / 3)


def econml_numbers() -> dict[str, Any]:
    """Effects of EconML's LinearDRLearner with the folds of `patron.uplift`."""
    from econml.dr import LinearDRLearner  # noqa: PLC0415 - the peer's half

    from patron.uplift.cross_fitting import Folds  # noqa: PLC0415

    rows = effect_rows()
    folds = [(np.flatnonzero(a), np.flatnonzero(b)) for a, b in Folds.of(rows["arm"], 0)]
    model = LinearDRLearner(model_regression=ArmMeans(), model_propensity=Thirds(), cv=folds)
    model.fit(rows["outcome"], rows["arm"], X=rows["features"])
    few = rows["features"][:5]
    numbers = {}
    for arm in (1, 2):
        low, high = model.effect_interval(few, T0=0, T1=arm, alpha=0.05)
        numbers[str(arm)] = {
            "effect": model.effect(few, T0=0, T1=arm).tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
        }
    return numbers


def maq_numbers() -> dict[str, Any]:
    """Gain and standard error of maq's curves: all offers, the first one, all untargeted."""
    from maq import MAQ  # noqa: PLC0415 - the peer's half

    rows = curve_rows()
    names = ("reward", "cost", "scores")
    every, first = (tuple(rows[name][:, :offers] for name in names) for offers in (3, 1))
    curves = {
        "all arms": MAQ(n_bootstrap=500).fit(*every),
        "1": MAQ(n_bootstrap=500).fit(*first),
        "untargeted": MAQ(n_bootstrap=500, target_with_covariates=False).fit(*every),
    }
    return {name: [curve.average_gain(budget) for budget in BUDGETS] for name, curve in curves.items()}


if __name__ == "__main__":
    json.dump(
        {"scikit-uplift 0.5.1": sklift_numbers(), "EconML 0.17.0": econml_numbers(), "maq 0.2.2": maq_numbers()},
        sys.stdout,
        indent=1,
    )
