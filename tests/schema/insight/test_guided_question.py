"""A guided question makes one SELECT over columns that tell nobody's identity, and refuses every other part."""

import pytest

from patron.schema.errors import BadQuery
from patron.schema.insight.guided_question import (
    Filter,
    Group,
    GuidedQuestion,
    Measure,
    columns_of,
    groups_of,
    guided_sql,
    has_plain_columns,
    measures_of,
)
from patron.schema.tables import TABLES

ZONE = "Europe/Berlin"


def test_parts_become_one_select_in_the_shops_time_zone():
    sql = guided_sql(
        GuidedQuestion(
            "orders",
            (Measure("sum", "paid_cents"), Measure()),
            (Group("occurred_at", "month"), Group("channel")),
            (Filter("channel", "is_not", "O'Hare"), Filter("line_count", "at_least", "2")),
        ),
        ZONE,
    )
    assert "date_trunc('month', occurred_at at time zone 'Europe/Berlin') as occurred_at_month" in sql
    assert "channel <> 'O''Hare'" in sql
    assert "line_count >= 2" in sql
    assert sql.endswith("group by 1, 2\norder by 1, 3 desc\nlimit 1000")


def test_of_a_table_of_runs_the_last_one_counts_unless_the_question_names_another():
    assert "max(run_id)" in guided_sql(GuidedQuestion("segments"), ZONE)
    assert "max(run_id)" not in guided_sql(GuidedQuestion("segments", groups=(Group("run_id"),)), ZONE)
    assert "max(run_id)" not in guided_sql(GuidedQuestion("segments", filters=(Filter("run_id", "is", "x"),)), ZONE)


def test_no_table_offers_a_column_with_personal_data_to_show():
    for table in filter(has_plain_columns, TABLES):
        personal = {column.name for column in table.columns if column.personal != "none"}
        hidden = {column.name for column in table.columns if column.personal in {"token", "trait"}}
        assert not personal & columns_of(table.name).keys()
        assert not personal & {group.column for group in groups_of(table.name)}
        assert not hidden & {measure.column for measure in measures_of(table.name)}
        assert {measure.kind for measure in measures_of(table.name) if measure.column in personal} <= {"distinct"}


@pytest.mark.parametrize(
    "question",
    [
        GuidedQuestion("users"),
        GuidedQuestion("orders", ()),
        GuidedQuestion("orders", (Measure("max", "paid_cents"),)),
        GuidedQuestion("orders", (Measure(), Measure())),
        GuidedQuestion("events", groups=(Group("user_token"),)),
        GuidedQuestion("orders", groups=(Group("customer_id"),)),
        GuidedQuestion("orders", groups=(Group("occurred_at", "century"),)),
        GuidedQuestion("orders", filters=(Filter("customer_id", "is", "x"),)),
        GuidedQuestion("orders", filters=(Filter("line_count", "is", "1 or true"),)),
        GuidedQuestion("orders", filters=(Filter("occurred_at", "above", "'); --"),)),
        GuidedQuestion("orders", filters=(Filter("has_coupon", "above", "true"),)),
        GuidedQuestion("orders", filters=(Filter("channel", "like", "x"),)),
    ],
)
def test_what_is_not_a_part_is_refused(question):
    with pytest.raises(BadQuery):
        guided_sql(question, ZONE)
