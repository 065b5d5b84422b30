"""What latent classes of response change about what an offer is expected to gain and to cost."""

import numpy as np
import pyarrow as pa
import pytest

from patron.decide.evidence import ClassResponses, Evidence, offer_responses
from patron.decide.expected_value import expected_values, order_cents, spend_per_day
from patron.storage.offers.offer_policy import Offer

TEN = Offer(id="ten", discount_share=0.1, assumed_purchase_uplift=0.05)
SURE = {"usual_factor": np.ones(2), "order_factor": np.ones(2), "standard_error": np.zeros(2)}


def responses(extra=(0.2, 0.0), redeemed=(0.9, 0.3), **other):
    """Responses to the offer of two classes of the same size."""
    numbers = {**SURE, "extra_orders": np.array(extra), "redeemed_share": np.array(redeemed), **other}
    return {"ten": ClassResponses(first_share=0.5, **numbers)}


def known(candidates, first, expected=0.2):
    """Candidates with a probability of the first class (None: not known) and orders expected without an offer."""
    rows = candidates(len(first))
    columns = {"answering_probability": first, "expected_orders": [expected] * len(first)}
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values, pa.float64()))
    return rows


def values_of(rows, found, offers=(TEN,)):
    return expected_values(rows, np.full(rows.num_rows, "all"), offers, Evidence({}, 0.45, responses=found))


def test_who_answers_offers_is_expected_to_order_more(candidates):
    rows = known(candidates, [0.95, 0.05, None] * 20)
    added = values_of(rows, responses(extra=(0.08, 0.0))).effect[:, 0] / (0.45 * order_cents(rows))
    assert added[0] == pytest.approx(0.076, abs=0.015)
    assert added[1] == pytest.approx(0.004, abs=0.005)
    assert added[2] == pytest.approx(0.04, abs=0.01), "who is not known is as likely in a class as anybody"


def test_of_who_has_no_forecast_the_assumption_counts(candidates):
    rows = known(candidates, [None] * 10, expected=None)
    found, plain = values_of(rows, responses(extra=(0.5, 0.5))), values_of(rows, {})
    assert found.effect == pytest.approx(plain.effect, rel=1e-3)


def test_an_estimate_counts_the_more_the_surer_it_is(candidates):
    rows = known(candidates, [0.9] * 20)
    assumed = values_of(rows, {}).effect[:, 0]
    distance = [
        np.abs(values_of(rows, responses(standard_error=np.full(2, error))).effect[:, 0] - assumed).mean()
        for error in (10.0, 0.05, 0.0)
    ]
    assert distance[0] == pytest.approx(0.0, abs=0.01)
    assert distance[0] < distance[1] < distance[2]


def test_only_orders_with_the_code_cost_the_discount(candidates):
    rows = known(candidates, [1.0, 0.0] * 10)
    costs = values_of(rows, responses(extra=(0.0, 0.0))).cost[:, 0]
    spend = 0.1 * spend_per_day(rows) * TEN.valid_days
    assert costs[::2] == pytest.approx(0.9 * spend[::2], rel=0.2)
    assert (costs[::2] < spend[::2] * 1.1).all()
    assert (costs[1::2] < 0.45 * spend[1::2]).all()
    without_code = values_of(rows, responses(extra=(0.0, 0.0), redeemed=(np.nan, np.nan))).cost[:, 0]
    assert (without_code >= spend).all(), "a code that nobody ever used does not make an offer cheap"


def test_an_offer_that_drives_orders_away_gains_nothing_and_is_not_cheaper_for_it(candidates):
    rows = known(candidates, [0.0] * 10)
    found = values_of(rows, responses(extra=(0.0, -0.1)))
    plain = values_of(rows, responses(extra=(0.0, 0.0)))
    assert (found.effect < plain.effect).all()
    assert (found.cost >= 0.3 * 0.1 * spend_per_day(rows)[:, None] * TEN.valid_days - 1e-9).all()


def test_offers_that_were_never_sent_stay_assumed(candidates):
    rows = known(candidates, [0.9] * 10)
    other = TEN.model_copy(update={"id": "other"})
    both = values_of(rows, responses(), (TEN, other))
    assert both.effect[:, 1] == pytest.approx(values_of(rows, {}, (other,)).effect[:, 0])
    assert (both.effect[:, 0] > both.effect[:, 1]).all()


def test_rows_of_the_table_become_responses():
    rows = {
        "offer": ["a", "a", "b", "b"],
        "class_share": [0.3, 0.7, 0.3, 0.7],
        "usual_factor": [1.0, 0.8] * 2,
        "order_factor": [1.2, 0.8] * 2,
        "extra_orders": [0.1, 0.0, 0.2, 0.0],
        "standard_error": [0.01] * 4,
        "redeemed_share": [0.9, 0.2, None, None],
    }
    found = offer_responses(pa.table(rows))
    assert list(found) == ["a", "b"]
    assert found["b"].extra_orders.tolist() == [0.2, 0.0]
    assert found["a"].first_share == 0.3
    assert np.isnan(found["b"].redeemed_share).all()
