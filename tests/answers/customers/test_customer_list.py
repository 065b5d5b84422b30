"""The list holds every customer of the run once, whatever it is searched, filtered, sorted or paged by."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from patron.answers.customers.customer_index import customer_index
from patron.answers.customers.customer_list import (
    COLUMNS,
    PAGE_SIZE,
    SORTS,
    CustomerQuery,
    Period,
    Range,
    customer_table,
    find_buyers,
)
from patron.answers.customers.customer_list import find_customers as find
from patron.schema.errors import BadQuery
from patron.storage.runs.last_run import last_run

INDEXES = {}


def find_customers(shop, query):
    """With an index that is made once."""
    if shop not in INDEXES:
        INDEXES[shop] = customer_index(last_run(shop))
    return find(shop, query, index=INDEXES[shop])


def pages(shop, **query):
    first = find_customers(shop, CustomerQuery(**query))
    return [find_customers(shop, CustomerQuery(**query, page=page)) for page in range(1, first.page_count + 1)]


def rows(shop, **query):
    return [row for page in pages(shop, **query) for row in page.rows]


def test_pages_hold_every_customer_of_the_run_once(made_shop, rows_of_last):
    every = pages(made_shop)
    ids = [row.customer_id for page in every for row in page.rows]
    assert sorted(ids) == sorted(row["customer_id"] for row in rows_of_last("segments"))
    assert {len(page.rows) for page in every[:-1]} == {PAGE_SIZE}
    assert {page.total_count for page in every} == {len(ids)}


@pytest.mark.parametrize("direction", ["descending", "ascending"])
@pytest.mark.parametrize("sort", SORTS)
def test_rows_are_sorted_over_all_pages_and_those_without_a_value_come_last(made_shop, sort, direction):
    column = [getattr(row, COLUMNS[sort]) for row in rows(made_shop, sort=sort, direction=direction)]
    known = [one for one in column if one is not None]
    assert column == [*sorted(known, reverse=direction == "descending"), *[None] * (len(column) - len(known))]


def test_a_row_says_what_the_tables_say(made_shop, rows_of_last):
    scores = {(row["question"], row["customer_id"]): row["value"] for row in rows_of_last("scores")}
    facts = {row["customer_id"]: row for row in rows_of_last("customers")}
    segments = {row["customer_id"]: row for row in rows_of_last("segments")}
    names = {row["persona_id"]: row["name_code"] for row in rows_of_last("personas")}
    actions = {row["customer_id"]: row["action"] for row in rows_of_last("decisions")}
    for row in find_customers(made_shop, CustomerQuery(page=3)).rows:
        who = row.customer_id
        assert (row.value_cents, row.churn_probability) == (scores["value", who], scores["churn", who])
        assert (row.paid_cents, row.order_count) == (facts[who]["paid_cents"], facts[who]["order_count"])
        assert row.lifecycle_stage == segments[who]["lifecycle_stage"]
        assert row.persona_code == names[segments[who]["persona_id"]]
        assert row.action == actions.get(who)


def test_each_filter_finds_as_many_as_it_promises(made_shop):
    whole = find_customers(made_shop, CustomerQuery())
    for option in whole.lifecycle_stages:
        found = find_customers(made_shop, CustomerQuery(lifecycle_stage=option.value))
        assert found.total_count == option.customer_count
        assert {row.lifecycle_stage for row in found.rows} == {option.value}
    for option in whole.personas:
        found = find_customers(made_shop, CustomerQuery(persona_id=int(option.value)))
        assert found.total_count == option.customer_count
        assert {row.persona_code for row in found.rows} == {option.name_code}
    for option in whole.actions:
        found = find_customers(made_shop, CustomerQuery(action=option.value))
        assert found.total_count == option.customer_count
        assert {row.action for row in found.rows} == {option.value}
    assert sum(option.customer_count for option in whole.lifecycle_stages) == whole.total_count


def test_filters_together_find_what_meets_all_of_them(made_shop):
    every = rows(made_shop)
    wanted = [row for row in every if row.lifecycle_stage == "at_risk" and row.persona_id == 1 and row.action == "none"]
    found = find_customers(made_shop, CustomerQuery(lifecycle_stage="at_risk", persona_id=1, action="none"))
    assert wanted
    assert {row.customer_id for row in found.rows} == {row.customer_id for row in wanted}
    assert found.expected_cents == pytest.approx(sum(row.value_cents for row in wanted), abs=0.01)


def test_a_search_finds_ids_that_begin_with_it_in_any_case(made_shop):
    every = [row.customer_id for row in rows(made_shop)]
    start = every[10][:2]
    found = rows(made_shop, search=f"  {start.upper()} ")
    assert sorted(row.customer_id for row in found) == sorted(one for one in every if one.startswith(start))
    assert [row.customer_id for row in rows(made_shop, search=every[10])] == [every[10]]


@pytest.mark.parametrize("text", ["' or '1'='1", "%", "_", "'; drop table segments; --", "\\", "nobody"])
def test_what_is_typed_is_searched_for_and_never_run(made_shop, text):
    assert find_customers(made_shop, CustomerQuery(search=text)).total_count == 0
    for query in (CustomerQuery(lifecycle_stage=text), CustomerQuery(action=text), CustomerQuery(sort=text)):
        with pytest.raises(BadQuery):
            find_customers(made_shop, query)
    assert find_customers(made_shop, CustomerQuery()).total_count > 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            CustomerQuery(lifecycle_stage="atrisk"),
            ["lifecycle_stage: ", "Did you mean at_risk?", "new, active, at_risk"],
        ),
        (CustomerQuery(action="ten_percnt"), ["action: ", "Did you mean ten_percent?", "none, "]),
        (CustomerQuery(sort="age"), ["sort: ", "value, churn_probability, ", ", last_order, "]),
    ],
)
def test_a_value_that_no_filter_has_is_refused_with_those_that_there_are(made_shop, query, words):
    with pytest.raises(BadQuery) as refused:
        find_customers(made_shop, query)
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize("page", [-3, 0, 10_000])
def test_a_page_beyond_the_list_is_the_nearest_there_is(made_shop, page):
    found = find_customers(made_shop, CustomerQuery(page=page))
    assert found.query.page == (1 if page < 1 else found.page_count)
    assert found.rows
    empty = find_customers(made_shop, CustomerQuery(search="nobody", page=page))
    assert (empty.query.page, empty.page_count, empty.expected_cents, empty.rows) == (1, 1, None, ())


def test_an_index_at_hand_gives_the_same_list(made_shop, last):
    query = CustomerQuery(sort="churn_probability", page=2)
    assert find(made_shop, query, index=customer_index(last)) == find(made_shop, query)


@pytest.mark.parametrize(
    ("query", "is_match"),
    [
        ({"value_cents": Range(1_000, 2_500)}, lambda row: 1_000 <= (row.value_cents or -1) <= 2_500),
        ({"churn_probability": Range(0.4)}, lambda row: (row.churn_probability or 0) >= 0.4),
        ({"order_count": Range(None, 3)}, lambda row: row.order_count <= 3),
        (
            {"last_order_at": Period(datetime(2017, 8, 1, tzinfo=UTC), datetime(2017, 9, 1, tzinfo=UTC))},
            lambda row: (
                row.last_order_at is not None and (row.last_order_at.year, row.last_order_at.month) == (2017, 8)
            ),
        ),
        ({"is_at_risk": True}, lambda row: row.lifecycle_stage == "at_risk" and row.value_at_risk_cents is not None),
        ({"channel": "store"}, lambda row: row.channel == "store"),
        ({"country": "Nowhere"}, lambda row: row.country == "Nowhere"),
    ],
)
def test_a_range_or_a_period_finds_exactly_who_is_in_it(made_shop, query, is_match):
    every = rows(made_shop)
    wanted = {row.customer_id for row in every if is_match(row)}
    assert {row.customer_id for row in rows(made_shop, **query)} == wanted
    assert len(wanted) < len(every) or "channel" in query


def test_who_bought_of_a_category_is_who_has_such_an_order_line(made_shop, rows_of_last):
    wanted = {row["customer_id"] for row in rows_of_last("order_lines") if row["category"] == "Bakery"}
    listed = {row.customer_id for row in rows(made_shop, category="Bakery")}
    assert listed == wanted & {row.customer_id for row in rows(made_shop)}
    assert {row.customer_id for row in rows(made_shop, product="product 3")} == {
        row.customer_id for row in rows(made_shop, product="p3")
    }
    assert rows(made_shop, product="Product 3")


def test_a_category_that_the_index_does_not_keep_is_looked_up(last):
    index = customer_index(last)
    assert [category.value for category in index.categories] == sorted(
        index.buyers, key=lambda name: (-find_buyers(last, index, "category", name).sum(), name)
    )
    rare = replace(index, buyers={})
    for category in index.categories:
        kept, looked_up = (find_buyers(last, some, "category", category.value) for some in (index, rare))
        assert (kept == looked_up).all()
        assert kept.sum() == category.customer_count


def test_a_file_has_everybody_of_the_list_in_its_order_with_the_same_values(made_shop):
    query = CustomerQuery(lifecycle_stage="at_risk", sort="last_order", direction="ascending")
    table = customer_table(made_shop, query).to_pylist()
    listed = rows(made_shop, lifecycle_stage="at_risk", sort="last_order", direction="ascending")
    assert [row["customer_id"] for row in table] == [row.customer_id for row in listed]
    for name in ("value_cents", "value_at_risk_cents", "last_order_at", "country", "consent", "action"):
        assert [row[name] for row in table] == [getattr(row, name) for row in listed], name
