"""The list holds every customer of the run once, whatever it is searched, filtered, sorted or paged by."""

from datetime import UTC, datetime
from math import inf

import pytest

from patron.answers.customer_list import PAGE_SIZE, SORTS, CustomerQuery, customer_index, find_customers
from patron.schema.errors import BadQuery

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


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


@pytest.mark.parametrize("sort", SORTS)
def test_rows_are_sorted_over_all_pages_and_those_without_a_value_come_last(made_shop, sort):
    of_row = {
        "value": lambda row: -inf if row.value_cents is None else row.value_cents,
        "churn_probability": lambda row: -inf if row.churn_probability is None else row.churn_probability,
        "paid": lambda row: row.paid_cents,
        "last_order": lambda row: row.last_order_at or LONG_AGO,
    }[sort]
    found = [of_row(row) for row in rows(made_shop, sort=sort)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > PAGE_SIZE


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
        (CustomerQuery(sort="age"), ["sort: ", "value, churn_probability, paid, last_order"]),
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
    assert find_customers(made_shop, query, index=customer_index(last)) == find_customers(made_shop, query)
