"""Personas are groups that come out again, described by what sets them apart; noise has none."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from patron.understand.persona_descriptions import Fact, describe, distinct_names
from patron.understand.persona_traits import NEEDED, shrunk_mean, shrunk_share
from patron.understand.personas import MIN_DISTINCT, find_personas
from patron.understand.segments import persona_rows, trait_rows

ORDERS = 40
RATES = {
    "coupon_order_share": 0.1,
    "weekend_order_share": 0.3,
    "refunded_order_share": 0.05,
    "order_days_per_active_day_lifetime": 0.5,
}


def noise(rng, size):
    """Customers who differ by chance only, each trait for itself."""
    amounts = ("paid_cents_365_days", "order_count_365_days", "mean_gross_cents_per_order", "mean_paid_cents_per_line")
    columns = {name: 1000 * rng.lognormal(0, 0.5, size) for name in (*amounts, "days_since_last_order")}
    columns |= {name: rng.binomial(ORDERS, rate, size) / ORDERS for name, rate in RATES.items()}
    columns |= {
        "mean_line_count_per_order": rng.lognormal(1, 0.3, size),
        "variation_of_days_between_orders": rng.normal(1, 1 / np.sqrt(ORDERS), size),
        "discount_share_lifetime": rng.beta(20, 80, size),
        "repeat_line_share": rng.beta(20, 40, size),
        "favourite_category_share": rng.beta(40, 40, size),
        "mean_order_hour": rng.normal(14, 3 / np.sqrt(ORDERS), size),
        "order_hour_spread": np.full(size, 3.0),
        "messages_opened_per_sent_90_days": rng.beta(5, 5, size),
        "order_count_lifetime": np.full(size, float(ORDERS)),
        "active_day_count_lifetime": np.full(size, float(ORDERS)),
    }
    return columns


def table(columns):
    size = len(columns["paid_cents_365_days"])
    favourites = {name: columns.get(name, [None] * size) for name in NEEDED if name not in columns}
    numbers = {name: pa.array(values, pa.float64()) for name, values in columns.items() if name in NEEDED}
    texts = {name: pa.array(values, pa.float64() if name.endswith("_share") else pa.string())
             for name, values in favourites.items()}  # fmt: skip
    return pa.table({**numbers, **texts})


def planted(seed=3, size=1_500):
    """Four kinds of customers: usual ones, weekend shoppers with coupons, large late baskets, frequent ones."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(4, size, p=[0.4, 0.2, 0.2, 0.2])
    columns = noise(rng, size)
    columns["weekend_order_share"][kinds == 1] = rng.binomial(ORDERS, 0.9, (kinds == 1).sum()) / ORDERS
    columns["coupon_order_share"][kinds == 1] = rng.binomial(ORDERS, 0.7, (kinds == 1).sum()) / ORDERS
    for name in ("mean_gross_cents_per_order", "mean_paid_cents_per_line", "mean_line_count_per_order"):
        columns[name][kinds == 2] *= 6
    columns["mean_order_hour"][kinds == 2] += 6
    columns["order_count_365_days"][kinds == 3] *= 8
    columns["days_since_last_order"][kinds == 3] /= 8
    columns["paid_cents_365_days"] *= np.array([1, 2, 4, 8])[kinds]
    return kinds, table(columns)


@pytest.fixture(scope="module")
def found():
    kinds, features = planted()
    personas = find_personas(features, seed=1)
    return kinds, features, personas, describe(personas)


def test_planted_kinds_are_found_and_come_out_again(found):
    kinds, _, personas, _ = found
    assert len(personas.stabilities) == 4
    assert adjusted_rand_score(kinds, personas.ids) > 0.95
    assert min(personas.stabilities) > 0.9
    assert personas.overall_stability > 0.9


def test_personas_are_named_by_what_was_planted(found):
    kinds, _, personas, descriptions = found
    names = {kind: descriptions[np.bincount(personas.ids[kinds == kind]).argmax()] for kind in range(4)}
    assert set(names[1].name_code.split("+")) == {"weekend", "coupon_lover"}
    assert (
        {"late_hours"}
        < set(names[2].name_code.split("+"))
        < {"late_hours", "big_baskets", "costly_items"} | {"many_items"}
    )
    assert {"frequent", "recent"} & set(names[3].name_code.split("+"))
    weekend = next(fact for fact in names[1].facts if fact.trait == "weekend_order_share")
    assert weekend.value == pytest.approx(0.9, abs=0.03)
    assert weekend.shop_value == pytest.approx(0.42, abs=0.03)
    assert weekend.effect > 0.95


def test_no_persona_is_average_and_no_two_share_a_name(found):
    *_, descriptions = found
    names = [description.name_code for description in descriptions]
    assert len(set(names)) == len(names)
    assert all(names)
    assert "average" not in names
    assert all(description.facts for description in descriptions)


def test_the_most_valuable_persona_is_the_first(found):
    _, features, personas, descriptions = found
    rows = persona_rows("r", features, personas, descriptions).to_pylist()
    paid = [row["paid_cents_365_days"] for row in rows]
    assert paid == sorted(paid, reverse=True)
    assert sum(row["customer_count"] for row in rows) == features.num_rows
    facts = trait_rows("r", descriptions).to_pylist()
    assert [row["rank"] for row in facts if row["persona_id"] == 0][:2] == [1, 2]


def test_the_same_seed_gives_the_same_personas(found):
    _, features, personas, descriptions = found
    again = find_personas(features, seed=1)
    assert again.ids.tobytes() == personas.ids.tobytes()
    assert (again.stabilities, again.overall_stability) == (personas.stabilities, personas.overall_stability)
    assert describe(again) == descriptions


def test_personas_do_not_depend_on_the_order_of_customers(found):
    _, features, personas, descriptions = found
    order = np.random.default_rng(9).permutation(features.num_rows)
    again = find_personas(features.take(order), seed=1)
    assert again.ids.tolist() == personas.ids[order].tolist()
    assert [one.name_code for one in describe(again)] == [description.name_code for description in descriptions]


def test_another_seed_finds_the_same_groups(found):
    _, features, personas, _ = found
    assert adjusted_rand_score(find_personas(features, seed=2).ids, personas.ids) > 0.95


@pytest.mark.parametrize("seed", [0, 1])
def test_customers_who_differ_by_chance_have_no_personas(seed):
    personas = find_personas(table(noise(np.random.default_rng(seed), 1_500)), seed=seed)
    assert set(personas.ids.tolist()) == {-1}
    assert (personas.stabilities, describe(personas)) == ((), ())


def test_too_few_different_customers_have_no_persona():
    _, features = planted(size=MIN_DISTINCT - 1)
    assert set(find_personas(features, seed=1).ids.tolist()) == {-1}


def test_customers_who_are_all_alike_have_no_persona():
    _, features = planted()
    assert set(find_personas(features.take([0] * 500), seed=1).ids.tolist()) == {-1}


def test_a_favourite_category_is_a_persona_named_after_it():
    rng = np.random.default_rng(5)
    is_parent = rng.random(1_500) < 0.25
    columns = noise(rng, 1_500)
    names = pa.array(np.where(is_parent, "Baby & kids + toys", rng.choice([f"c{n}" for n in range(40)], 1_500)))
    shares = pa.array(np.where(is_parent, 0.8, 0.2))
    columns["repeat_line_share"][is_parent] += 0.3
    features = table(columns)
    for name, values in (("favourite_category", names), ("favourite_category_share", shares)):
        features = features.set_column(features.column_names.index(name), name, values)
    personas = find_personas(features, seed=1)
    parents = describe(personas)[np.bincount(personas.ids[is_parent]).argmax()]
    assert adjusted_rand_score(personas.ids, is_parent) > 0.9
    assert "favourite_category=Baby%20%26%20kids%20%2B%20toys" in parents.name_code.split("+")
    fact = next(fact for fact in parents.facts if fact.trait == "favourite_category")
    assert fact.level == "Baby & kids + toys"
    assert (fact.value, fact.shop_value) == pytest.approx((1.0, 0.25), abs=0.05)


def test_personas_need_nothing_that_people_declare():
    assert [name for name in NEEDED if name.startswith("declared_")] == []


def test_a_share_of_few_orders_is_taken_for_chance():
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 5, 4_000).astype(float)
    chance = rng.binomial(counts.astype(int), 0.3) / counts
    assert shrunk_share(chance, counts).std() < 0.3
    true = rng.choice([0.1, 0.9], 4_000)
    real = shrunk_share(rng.binomial(counts.astype(int), true) / counts, counts)
    assert real.std() > 0.7
    one, many = (abs(real[(counts == n) & (true > 0.5)]).mean() for n in (1, 4))
    assert one < many
    assert shrunk_share(np.full(50, np.nan), np.zeros(50)).tolist() == [0.0] * 50


def test_a_mean_of_few_orders_is_drawn_to_the_shops():
    rng = np.random.default_rng(2)
    counts = np.tile([2.0, 50.0], 2_000)
    true = rng.choice([10.0, 20.0], 4_000)
    hours = shrunk_mean(true + rng.normal(0, 4, 4_000) / np.sqrt(counts), counts, np.full(4_000, 4.0))
    assert abs(hours[counts == 2]).mean() < abs(hours[counts == 50]).mean()
    assert shrunk_mean(14 + rng.normal(0, 4, 4_000) / np.sqrt(counts), counts, np.full(4_000, 4.0)).std() < 0.3


CODES = st.lists(st.sampled_from(["frequent", "rare", "weekend", "returns", ""]), max_size=4, unique=True)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(CODES, min_size=1, max_size=8))
def test_names_of_personas_are_never_the_same_and_never_empty(personas):
    names = distinct_names([[Fact("t", None, "count", 1, 2, 0.5, code) for code in codes] for codes in personas])
    parts = [tuple(sorted(name.split("+"))) for name in names]
    assert len(set(parts)) == len(parts)
    assert all(names)
