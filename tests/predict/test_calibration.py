from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.estimators.learner import labelled
from patron.predict.probability_learners import fit_calibration
from patron.tabular import Calibration

NEWEST = datetime(2021, 6, 1, tzinfo=UTC)
SURE = 2.0


def shop(customers=800, cutoffs=3, seed=4):
    """Customers who come back by mere chance; cutoffs 30 days apart share most of their 90 days, so also the label."""
    rng = np.random.default_rng(seed)
    label, feature = (rng.random(customers) < 0.5).astype(float), rng.random(customers)
    as_of = [NEWEST - timedelta(days=30 * back) for back in range(cutoffs) for _ in range(customers)]
    return pa.table(
        {
            "customer_id": [f"c{index:04}" for index in range(customers)] * cutoffs,
            "as_of": pa.array(as_of, pa.timestamp("us", tz="UTC")),
            "feature": np.tile(feature, cutoffs),
            "sample_key": np.tile(rng.integers(0, 2**52, customers), cutoffs),
            "label": np.tile(label, cutoffs),
        }
    )


def remembers(rows):
    """A model that knows its training rows by heart: the outcome of the row with the nearest feature, quite sure."""
    order = np.argsort(rows["feature"].to_numpy(), kind="stable")
    feature, label = rows["feature"].to_numpy()[order], rows["label"].to_numpy()[order]

    def log_odds(scored):
        place = np.clip(np.searchsorted(feature, scored["feature"].to_numpy()), 0, len(label) - 1)
        return np.where(label[place] > 0, SURE, -SURE)

    return log_odds


def calibrate(table, model, **options):
    """The calibration of a model that is fitted to rows and asked for the log-odds of others."""
    rows = labelled(table)
    return fit_calibration(rows, lambda fitted, others: model(rows.take(fitted))(rows.take(others)), **options)


class Watched:
    """`remembers`, keeping what it was fitted to and asked for."""

    def __init__(self):
        self.fitted, self.scored = [], []

    def __call__(self, rows):
        self.fitted.append(rows)
        log_odds = remembers(rows)

        def kept(scored):
            self.scored.append(scored)
            return log_odds(scored)

        return kept


def test_the_same_orders_in_labels_of_near_cutoffs_make_no_model_sure():
    assert calibrate(shop(), remembers).slope == pytest.approx(0.0, abs=0.1)


def test_no_customer_is_calibrated_on_by_a_model_that_knows_one_of_their_cutoffs():
    watched = Watched()
    calibrate(shop(), watched)
    assert len(watched.fitted) == len(watched.scored) == 2
    for fitted, scored in zip(watched.fitted, watched.scored, strict=True):
        assert not set(fitted["customer_id"].to_pylist()) & set(scored["customer_id"].to_pylist())
        assert len(set(fitted["as_of"].to_pylist())) == 3


def test_every_customer_of_the_newest_labelled_cutoff_is_calibrated_on_once():
    watched = Watched()
    table = shop()
    later = table.slice(0, 800).drop_columns(["as_of", "label"])
    as_of = pa.array([NEWEST + timedelta(days=30)] * 800, table.schema.field("as_of").type)
    later = later.append_column("as_of", as_of).append_column("label", pa.nulls(800, pa.float64()))
    calibrate(pa.concat_tables([table, later.select(table.column_names)]), watched)
    scored = pa.concat_tables(watched.scored)
    assert sorted(scored["customer_id"].to_pylist()) == sorted(table["customer_id"].to_pylist()[:800])
    assert set(scored["as_of"].to_pylist()) == {NEWEST}


def test_where_cutoffs_share_no_outcome_all_of_them_calibrate():
    watched = Watched()
    table = shop()
    calibrate(table, watched, is_on_newest=False)
    keys = [f"{row['customer_id']} {row['as_of']}" for row in pa.concat_tables(watched.scored).to_pylist()]
    assert sorted(keys) == sorted(f"{row['customer_id']} {row['as_of']}" for row in table.to_pylist())


def test_the_order_of_rows_does_not_matter():
    table = shop()
    shuffled = table.take(pa.array(np.random.default_rng(2).permutation(table.num_rows)))
    one, other = calibrate(table, remembers), calibrate(shuffled, remembers)
    assert (one.slope, one.shift) == pytest.approx((other.slope, other.shift), abs=1e-6)


@pytest.mark.parametrize("table", [shop(customers=300, cutoffs=1), shop(customers=150)], ids=["fit", "newest"])
def test_with_too_few_customers_log_odds_are_left_as_they_are(table):
    assert calibrate(table, remembers) == Calibration()


def test_with_one_outcome_only_log_odds_are_left_as_they_are():
    table = shop()
    same = table.set_column(table.column_names.index("label"), "label", pa.array(np.ones(table.num_rows)))
    assert calibrate(same, remembers) == Calibration()
