"""Facts, rules and candidates as shops have them: what is plain is read, what is not is refused in words."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from patron.recommenders.lists import (
    ItemsByRow,
    ListCandidates,
    ListRules,
    ProductFacts,
    ShopperFacts,
    choose_lists,
)
from patron.schema.errors import BadListInput

FACTS = ProductFacts.of(pa.table({"product_id": ["a", "b", "c"]}))


def candidates(item, relevance=None, row=None, rows=1) -> ListCandidates:
    return ListCandidates(
        np.zeros(len(item), dtype=int) if row is None else row,
        np.array(item, dtype=int),
        np.linspace(1, 0.5, len(item)) if relevance is None else relevance,
        rows,
    )


def test_the_last_row_of_a_product_counts_and_what_is_missing_is_not_known():
    facts = ProductFacts.of(
        pa.table(
            {
                "product_id": ["b", "a", "b", "c"],
                "category": ["Tea", "", "Cups", None],
                "style_id": [None, " ", None, ""],
                "stock": [5.0, math.nan, 0.0, None],
                "is_tail": [True, None, False, True],
                "colour": ["red"] * 4,
            }
        )
    )
    assert facts.products.to_pylist() == ["a", "b", "c"]
    assert [facts.categories[at] if at >= 0 else None for at in facts.category] == [None, "Cups", None]
    assert len(set(facts.style)) == 3
    np.testing.assert_array_equal(facts.stock, [np.nan, 0, np.nan])
    assert facts.is_tail.tolist() == [False, False, True]
    assert np.isnan(facts.price_cents).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_facts_come_from_any_frame_and_any_kind_of_ids(frame):
    facts = ProductFacts.of(
        frame({"product_id": [9, 7], "style_id": [1.0, math.nan], "price_cents": [250, 100], "is_blocked": [1, 0]})
    )
    assert facts.products.to_pylist() == [7, 9]
    assert facts.price_cents.tolist() == [100, 250]
    assert facts.is_blocked.tolist() == [False, True]
    assert facts.codes(["9", 8][:1]).tolist() == [1]
    lists = choose_lists(candidates([0]), facts, ListRules(blocked=(7, "8")), 1)
    assert lists.why_short(0) == {"blocked": 1}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": ["a"]}, "no column product_id"),
        ({"product_id": ["a", None]}, "1 of 2 rows have no product_id"),
        ({"product_id": [1.0, math.nan]}, "1 of 2 rows have no product_id"),
        ({"product_id": [["a"]]}, "product_id holds no ids"),
        ({"product_id": ["a"], "category": [["tea"]]}, "category is not text"),
        ({"product_id": ["a"], "stock": ["many"]}, "stock is not a number"),
        ({"product_id": ["a"], "stock": ["7"]}, "stock is not a number"),
        ({"product_id": ["a"], "price_cents": [-1]}, "1 products have a price_cents out of range, such as 'a'"),
        ({"product_id": ["a"], "price_cents": [math.inf]}, "price_cents out of range"),
        ({"product_id": ["a"], "margin_share": [35.0]}, "margin_share out of range"),
        ({"product_id": ["a"], "is_tail": ["yes"]}, "is_tail is not yes or no"),
        ({"product_id": ["a"], "is_tail": [2]}, "is_tail is not yes or no"),
    ],
)
def test_bad_product_facts_are_refused_in_words(columns, words):
    with pytest.raises(BadListInput, match=words):
        ProductFacts.of(pa.table(columns))


def test_what_is_no_frame_is_refused():
    with pytest.raises(BadListInput, match="a table is needed"):
        ProductFacts.of(7)


@pytest.mark.parametrize("vectors", [[[1.0]], [[1.0], [math.nan], [2.0]], [1.0, 2.0, 3.0]])
def test_vectors_that_do_not_fit_the_products_are_refused(vectors):
    with pytest.raises(BadListInput, match="vectors are of shape"):
        FACTS.with_vectors(vectors)


@pytest.mark.parametrize(
    "rule",
    [
        {"min_relevance": 1.1},
        {"min_relevance": math.nan},
        {"tail_share": -0.1},
        {"diversity": "much"},
        {"diversity": True},
        {"bought_within_days": -1},
        {"returned_within_days": math.nan},
        {"least_margin_share": 35},
        {"most_per_category": 0},
        {"most_per_category": 1.5},
        {"blocked": "a"},
        {"blocked": (None,)},
        {"blocked": 7},
        {"in_stock": 1},
        {"one_per_style": None},
    ],
)
def test_rules_out_of_their_range_are_refused_by_name(rule):
    with pytest.raises(BadListInput, match=next(iter(rule))):
        ListRules(**rule)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"item": [0], "relevance": [math.nan]}, "relevance is not from 0 to 1"),
        ({"item": [0], "relevance": [1.5]}, "relevance is not from 0 to 1"),
        ({"item": [0, 1], "relevance": [0.5]}, "1 relevances"),
        ({"item": [0, 1], "row": [1, 0], "rows": 2}, "rows are not sorted"),
        ({"item": [0], "row": [1]}, "not from 0 to 0"),
        ({"item": [0], "row": [-1]}, "not from 0 to 0"),
        ({"item": [0], "row": [0.5]}, "row is of type float64"),
        ({"item": [0], "rows": -1}, "rows is -1"),
    ],
)
def test_bad_candidates_are_refused_in_words(arguments, words):
    with pytest.raises(BadListInput, match=words):
        candidates(**arguments)


@pytest.mark.parametrize("item", [-1, 3])
def test_a_candidate_that_is_not_in_the_catalogue_is_refused(item):
    with pytest.raises(BadListInput, match="candidates: an item is not from 0 to 2"):
        choose_lists(candidates([item]), FACTS, ListRules(), 1)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, None])
def test_a_list_of_no_whole_number_of_places_is_refused(k):
    with pytest.raises(BadListInput, match="k is"):
        choose_lists(candidates([0]), FACTS, ListRules(), k)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1, [0], [0], [-1.0]), "days are below 0"),
        ((1, [0], [0], [math.nan]), "days are below 0 or NaN"),
        ((1, [1], [0]), "a row is not from 0 to 0"),
        ((1, [0], [0, 1]), "1 rows, 2 items"),
    ],
)
def test_bad_pasts_are_refused_in_words(arguments, words):
    with pytest.raises(BadListInput, match=words):
        ItemsByRow.of(*arguments)


def test_a_past_of_other_rows_or_of_another_catalogue_is_refused():
    with pytest.raises(BadListInput, match="bought has 2 rows"):
        choose_lists(candidates([0]), FACTS, ListRules(), 1, ShopperFacts(ItemsByRow.none(2)))
    with pytest.raises(BadListInput, match="hidden: an item is not from -1 to 2"):
        choose_lists(candidates([0]), FACTS, ListRules(), 1, ShopperFacts(hidden=ItemsByRow.of(1, [0], [3])))


def test_nothing_to_choose_from_is_an_empty_list_that_says_so():
    empty = ProductFacts.of(pa.table({"product_id": pa.array([], pa.string())}))
    for facts in (empty, FACTS):
        lists = choose_lists(candidates([], rows=2), facts, ListRules(), 3)
        assert (lists.items == -1).all()
        assert np.isnan(lists.relevance).all()
        assert [lists.why_short(row) for row in range(2)] == [{"no_candidate": 3}] * 2
        assert lists.why_not(1, 0) == "no_candidate"
    assert choose_lists(candidates([], rows=0), FACTS, ListRules(), 3).items.shape == (0, 3)


def test_one_user_and_one_item_are_a_list():
    facts = ProductFacts.of(pa.table({"product_id": ["a"]}))
    lists = choose_lists(candidates([0]), facts, ListRules(tail_share=1.0, diversity=1.0, most_per_category=1), 2)
    assert lists.items.tolist() == [[0, -1]]
    assert lists.why_short(0) == {"no_candidate": 1}
    assert lists.why_not(0, 0) is None


def test_read_only_columns_of_arrow_are_candidates_too():
    item = pa.array([2, 0]).to_numpy()
    lists = choose_lists(candidates(item, pa.array([0.5, 1.0]).to_numpy()), FACTS, ListRules(), 5)
    assert lists.items[0, :2].tolist() == [0, 2]


def test_new_stock_holds_in_the_next_list():
    sold_out = replace(FACTS, stock=[0, 1, math.nan])
    assert choose_lists(candidates([0, 1, 2]), FACTS, ListRules(), 3).items.tolist() == [[0, 1, 2]]
    lists = choose_lists(candidates([0, 1, 2]), sold_out, ListRules(), 3)
    assert lists.items.tolist() == [[1, 2, -1]]
    assert lists.why_short(0) == {"out_of_stock": 1}


def test_other_rules_hold_in_the_next_list_of_the_same_facts():
    rules = [ListRules(blocked=("a",)), ListRules(blocked=("b",)), ListRules()]
    lists = [choose_lists(candidates([0, 1]), FACTS, rule, 2).items[0].tolist() for rule in rules]
    assert lists == [[1, -1], [0, -1], [0, 1]]


def test_arrays_that_are_not_one_value_per_product_are_refused():
    with pytest.raises(BadListInput, match="stock has 1 values for 3 products"):
        replace(FACTS, stock=[0])
    with pytest.raises(BadListInput, match="a style is below 0"):
        replace(FACTS, style=[0, -1, 2])


def test_similarity_is_the_cosine_of_vectors():
    facts = FACTS.with_vectors([[3, 0], [4, 3], [0, 1]])
    lists = choose_lists(candidates([0, 1, 2], [1.0, 0.9, 0.3]), facts, ListRules(diversity=0.5), 3)
    assert lists.items.tolist() == [[0, 2, 1]]  # next to 0: .45 - .4 of 1, .15 - 0 of 2
    lists = choose_lists(candidates([0, 1, 2], [1.0, 0.9, 0.3]), facts, ListRules(diversity=0.4), 3)
    assert lists.items.tolist() == [[0, 1, 2]]  # .54 - .32 of 1, .18 of 2


@pytest.mark.parametrize("first", [0, 1])
def test_where_one_product_has_no_vector_its_category_says_how_alike_it_is(first):
    facts = ProductFacts.of(pa.table({"product_id": ["a", "b", "c"], "category": ["tea", "tea", "cups"]}))
    facts = facts.with_vectors([[1, 0], [0, 0], [0, 1]])
    relevance = [0.9, 0.9, 0.5]
    relevance[first] = 1.0
    lists = choose_lists(candidates([0, 1, 2], relevance), facts, ListRules(diversity=0.5), 2)
    assert lists.items.tolist() == [[first, 2]]  # next to it: .45 - .25 of the same category, .25 - 0 of the other
