"""The threshold maximises what it says on the rows it is chosen on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.schema.models.metrics import f1
from patron.tabular.threshold import Payoff, choose_threshold

ROWS = st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99).map(lambda one: round(one, 2))), min_size=4, max_size=60)


@given(rows=ROWS)
@settings(max_examples=200, deadline=None)
def test_no_other_threshold_has_a_higher_f1(rows):
    label, probability = (np.array(side, dtype=float) for side in zip(*rows, strict=True))
    if not label.sum():
        label[0] = 1
    chosen = choose_threshold(label, probability, None)
    best = max(float(f1(label, (probability >= one).astype(float))) for one in np.unique(probability))
    assert float(f1(label, (probability >= chosen).astype(float))) == pytest.approx(best)


@given(rows=ROWS, cost=st.integers(0, 120))
@settings(max_examples=200, deadline=None)
def test_no_other_threshold_earns_more(rows, cost):
    label, probability = (np.array(side, dtype=float) for side in zip(*rows, strict=True))
    payoff = Payoff(100, cost)
    chosen = choose_threshold(label, probability, payoff)
    earned = [payoff.profit(label, (probability >= one).astype(float)).sum() for one in [*np.unique(probability), 2.0]]
    assert payoff.profit(label, (probability >= chosen).astype(float)).sum() == pytest.approx(max(earned))
