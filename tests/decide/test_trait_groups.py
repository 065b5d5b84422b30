"""Groups by a sensitive trait name nobody: values that few share, dates and long texts are in groups of many."""

import numpy as np
import pytest

from patron.decide.trait_groups import MAX_GROUPS, MAX_NAME_LENGTH, OTHER, group_values

MIN_COUNT = 50


def groups_of(values, fewest=MIN_COUNT):
    named = {f"c{n:05}": value for n, value in enumerate(values)}
    return list(group_values(named, fewest=fewest, year=2025).values())


@pytest.mark.parametrize(
    "date",
    [
        "1987-03-14",
        "1987-03-14t00:00:00z",
        "14.03.1987",
        "3/14/1987",
        "14 march 1987",
        "1987年3月14日",
        "19870314",
        "14031987",
        "1987",
        "14.03.87",
        "87-03-14",
        '{"day":14,"month":3,"year":1987}',
    ],
)
def test_a_date_in_any_form_is_its_decade_even_when_all_have_the_same(date):
    assert set(groups_of([date] * MIN_COUNT)) == {"1980-1989"}


def test_a_year_of_two_digits_is_not_after_the_cutoff():
    assert set(groups_of(["14.03.24"] * MIN_COUNT)) == {"2020-2029"}
    assert set(groups_of(["14.03.26"] * MIN_COUNT)) == {"1920-1929"}


def test_a_value_that_few_share_is_in_one_group_of_all_such_values():
    values = ["f"] * 60 + ["m"] * 70 + ["a rare one"] * 49 + [f"free text of person {n}" for n in range(30)]
    assert groups_of(values) == ["f"] * 60 + ["m"] * 70 + [OTHER] * 79


def test_many_different_numbers_are_grouped_by_tens_and_few_stay():
    ages = [20 + n % 40 for n in range(400)]
    assert set(groups_of([str(age) for age in ages])) == {"20-29", "30-39", "40-49", "50-59"}
    assert set(groups_of(["0", "1", "2"] * MIN_COUNT)) == {"0", "1", "2"}


def test_names_are_short_and_groups_are_few_whatever_a_write_key_sends():
    values = ["x" * 20_000] * 60 + [f"value {n:02}" for n in range(40) for _ in range(50 + n)]
    groups = groups_of(values)
    assert max(map(len, groups)) <= MAX_NAME_LENGTH
    kept = set(groups) - {OTHER}
    assert len(kept) == MAX_GROUPS
    assert kept == {f"value {n:02}" for n in range(20, 40)}, "the most frequent"
    assert np.array(groups).nbytes < 4 * (MAX_NAME_LENGTH + 1) * len(groups)


def test_equally_frequent_values_are_kept_by_name_whatever_the_order_is():
    values = [f"value {n:02}" for n in range(30) for _ in range(50)]
    kept = {f"value {n:02}" for n in range(20)}
    assert set(groups_of(values)) - {OTHER} == kept == set(groups_of(values[::-1])) - {OTHER}
