import numpy as np
import pyarrow as pa
import pytest

from patron.measure.feature_changes import FeatureCounts, cells_of, count_cells, find_changes, is_watched

CUTOFFS, CUSTOMERS = 12, 600


def counts_of(feature, columns):
    """Counts of a feature whose values at each cutoff are given."""
    arrays = [pa.chunked_array([pa.array(column)]) for column in columns]
    cells = cells_of(arrays[-2])
    return FeatureCounts(feature, cells, np.array([count_cells(array, cells) for array in arrays]))


def drawn(rng, *, shares, sizes):
    """Values at each cutoff: which share of customers has one, and its mean."""
    return [
        np.where(rng.random(CUSTOMERS) < share, rng.gamma(2.0, size / 2, CUSTOMERS), 0.0)
        for share, size in zip(shares, sizes, strict=True)
    ]


def steady(rng):
    return drawn(rng, shares=[0.5] * CUTOFFS, sizes=[30.0] * CUTOFFS)


def test_a_feature_that_nobody_has_any_more_is_a_change_of_share():
    columns = [*steady(np.random.default_rng(1))[:-1], np.zeros(CUSTOMERS)]
    [change] = find_changes([counts_of("view_count_30_days", columns)])
    assert (change.feature, change.part) == ("view_count_30_days", "share")
    assert change.before == pytest.approx(0.5, abs=0.07)
    assert change.now == 0.0
    assert change.index > change.limit >= 0.25


def test_doubled_values_are_a_change_of_size_and_not_of_share():
    columns = steady(np.random.default_rng(2))
    [change] = find_changes([counts_of("paid_cents_30_days", [*columns[:-1], columns[-1] * 2])])
    assert change.part == "size"


def test_a_feature_that_is_not_known_any_more_is_a_change_although_it_was_mostly_0():
    columns = [np.where(values > 40, values, 0.0) for values in steady(np.random.default_rng(3))]
    [change] = find_changes([counts_of("click_count_30_days", [*columns[:-1], np.full(CUSTOMERS, np.nan)])])
    assert change.part == "share"


def test_levels_that_are_spelled_otherwise_are_a_change_of_level():
    rng = np.random.default_rng(4)
    columns = [rng.choice(["DE", "FR", "US"], CUSTOMERS, p=[0.2, 0.2, 0.6]) for _ in range(CUTOFFS)]
    assert find_changes([counts_of("declared_country", columns)]) == []
    renamed = np.where(columns[-1] == "US", "us", columns[-1])
    [change] = find_changes([counts_of("declared_country", [*columns[:-1], renamed])])
    assert (change.part, change.level, change.now) == ("level", "US", 0.0)
    assert change.before == pytest.approx(0.6, abs=0.07)


def test_a_feature_that_always_changes_much_raises_nothing():
    rng = np.random.default_rng(5)
    shares = [0.15 if month % 2 else 0.75 for month in range(CUTOFFS)]
    restless = drawn(rng, shares=shares, sizes=[30.0] * CUTOFFS)
    assert find_changes([counts_of("cart_add_count_30_days", restless)]) == []
    calm = drawn(rng, shares=[*[0.15] * (CUTOFFS - 1), 0.75], sizes=[30.0] * CUTOFFS)
    assert len(find_changes([counts_of("cart_add_count_30_days", calm)])) == 1


def test_a_feature_that_grows_with_the_calendar_raises_nothing_whatever_its_name():
    rng = np.random.default_rng(6)
    first = rng.uniform(1, 200, CUSTOMERS)
    days = [first + 30 * month for month in range(CUTOFFS)]
    orders = [1 + rng.poisson(0.4 * month + 0.2, CUSTOMERS).astype(float) for month in range(CUTOFFS)]
    assert find_changes([counts_of("age_of_account", days), counts_of("parcels", orders)]) == []


@pytest.mark.parametrize(
    "feature",
    ["order_count_lifetime", "days_since_first_order", "order_day_count_december", "paid_cents_365_days"],
)
def test_what_grows_with_the_calendar_by_definition_is_not_watched(feature):
    columns = [*steady(np.random.default_rng(7))[:-1], np.zeros(CUSTOMERS)]
    assert not is_watched(feature)
    assert find_changes([counts_of(feature, columns)]) == []


def test_too_few_cutoffs_raise_nothing():
    columns = [*steady(np.random.default_rng(8))[:-1], np.zeros(CUSTOMERS)]
    assert len(find_changes([counts_of("view_count_30_days", columns[-7:])])) == 1
    assert find_changes([counts_of("view_count_30_days", columns[-6:])]) == []


def test_chance_alone_raises_an_alarm_about_60_features_in_at_most_one_run_of_twenty():
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng([9, seed])
        values = rng.gamma(2.0, 15.0, (60, 7, 110)) * (
            rng.random((60, 7, 110)) < 0.6
        )  # few earlier changes, few values
        alarms += bool(find_changes([counts_of(f"f{number}", list(rows)) for number, rows in enumerate(values)]))
    assert alarms <= 3  # more than 3 of 20 at a rate of .05: p = .016
