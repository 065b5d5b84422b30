"""Learning from rows without a label: what they show of features, and where few labels are known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

from patron.estimators.learner import FORECAST, LABEL
from patron.predict import churn
from patron.predict.averaged_probability import FewLabels
from patron.predict.probability_learners import ComponentLogistic, Logistic
from patron.predict.sampling import SAMPLE_KEY
from patron.predict.training import candidates
from patron.schema.numbers import float_column

PAST = datetime(2024, 1, 1, tzinfo=UTC)
FEATURES = 80


def rows(labelled, unlabelled, *, seed=0):
    """Customers of two kinds, whom half of many features tell apart a little each; the outcome is the kind."""
    rng = np.random.default_rng(seed)
    count = labelled + unlabelled
    kind = (rng.random(count) < 0.5).astype(float)
    shift = np.where(np.arange(FEATURES) < FEATURES / 2, 0.5, 0.0)
    columns = {f"f{n}": rng.normal(shift[n] * kind) for n in range(FEATURES)}
    is_known = np.arange(count) < labelled
    times = [PAST if known else PAST + timedelta(days=90) for known in is_known]
    ids = [f"c{n}" for n in range(count)]
    facts = {"customer_id": ids, SAMPLE_KEY: np.arange(count), "as_of": times, LABEL: pa.array(kind, mask=~is_known)}
    return pa.table({**facts, **columns})


def loss(learner, known, test):
    """Mean log loss on other customers."""
    return log_loss(float_column(test, LABEL), float_column(learner.fit(known).predict(test), FORECAST))


@pytest.mark.parametrize("seed", range(3))
def test_customers_whose_outcome_is_unknown_show_which_features_go_together(seed):
    known, test = rows(80, 2_000, seed=seed), rows(2_000, 0, seed=100 + seed)
    with_others = loss(ComponentLogistic(), known, test)
    assert with_others < loss(ComponentLogistic(), known.slice(0, 80), test) - 0.02
    assert with_others < loss(Logistic(), known, test) - 0.02


def test_the_learner_for_few_labels_competes_where_few_are_known():
    few, many = rows(FewLabels.max_labels, 100), rows(FewLabels.max_labels + 1, 100)
    assert [one.name for one in candidates(churn.LEARNERS, few)] == [one.name for one in churn.LEARNERS]
    assert {one.name for one in churn.LEARNERS} - {one.name for one in candidates(churn.LEARNERS, many)} == {
        FewLabels.name
    }
