"""How the shop trades: every cent counts in one window, and a window that has no past is not shown."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from patron.answers.insight.period_figures import PeriodQuery, period_figures
from patron.answers.insight.revenue import KeyFigure, cohorts, key_figures, window_edges, windows
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.shop import SETTINGS_FILE, Shop, Snapshot

INSTANT = timedelta(microseconds=1)


def at_days_ago(run, days):
    return run.as_of - timedelta(days=days)


def test_windows_are_of_equal_length_and_end_at_the_run(last):
    weeks = windows(last, days=7, count=20)
    assert len(weeks) == 20
    assert weeks[-1].ends_at == last.run.as_of
    assert all(one.ends_at == following.starts_at for one, following in pairwise(weeks))
    assert {week.ends_at - week.starts_at for week in weeks} == {timedelta(days=7)}


def test_windows_begin_at_midnight_by_the_shops_clock_also_across_a_change_of_the_clocks(tmp_path):
    berlin = ZoneInfo("Europe/Berlin")
    Shop.create(tmp_path / "w").close()
    (tmp_path / "w" / SETTINGS_FILE).write_text('[shop]\ntime_zone = "Europe/Berlin"\n', encoding="utf-8")
    shop = Shop.open(tmp_path / "w")
    run = Run.at(datetime(2024, 4, 1, tzinfo=berlin), zone="Europe/Berlin")
    edges = [edge.astimezone(berlin) for edge in window_edges(Snapshot(shop, run, dict.fromkeys(BY_NAME)), 7, 30)]
    shop.close()
    assert {(edge.hour, edge.minute, edge.isoweekday()) for edge in edges} == {(0, 0, 1)}
    assert edges[-1].date() == run.as_of.astimezone(berlin).date() - timedelta(days=7 * 30)


def test_windows_add_up_to_what_was_paid_and_ordered(last, rows_of_last):
    weeks = windows(last, days=7, count=20)
    since = weeks[0].starts_at
    paid = sum(row["paid_cents"] for row in rows_of_last("order_lines") if row["ordered_at"] >= since)
    orders = [row for row in rows_of_last("orders") if row["occurred_at"] >= since]
    assert sum(week.paid_cents for week in weeks) == paid
    assert sum(week.order_count for week in weeks) == len(orders)


def test_each_window_counts_its_own_customers_and_those_who_had_ordered_before(last, rows_of_last):
    orders = rows_of_last("orders")
    for window in windows(last, days=30, count=4):
        here = {row["customer_id"] for row in orders if window.starts_at <= row["occurred_at"] < window.ends_at}
        before = {row["customer_id"] for row in orders if row["occurred_at"] < window.starts_at}
        assert window.customer_count == len(here)
        assert window.repeat_count == len(here & before)


def test_an_order_counts_from_the_first_instant_of_a_window_to_the_last(snapshot_of, order_of, this_run):
    begin = at_days_ago(this_run, 7)
    tables = order_of(
        ("a", at_days_ago(this_run, 14), 1),
        ("b", begin - INSTANT, 10),
        ("c", begin, 100),
        ("d", this_run.as_of - INSTANT, 1_000),
    )
    weeks = windows(snapshot_of(**tables), days=7, count=2)
    assert [(week.paid_cents, week.order_count) for week in weeks] == [(11, 2), (1_100, 2)]


def test_a_refund_counts_where_its_order_does(snapshot_of, order_of, this_run):
    tables = order_of(("a", at_days_ago(this_run, 13), 900), ("b", at_days_ago(this_run, 1), 500), refunds=[(0, 300)])
    weeks = windows(snapshot_of(**tables), days=7, count=2)
    assert [(week.paid_cents, week.order_count) for week in weeks] == [(600, 1), (500, 1)]


def test_orders_without_a_customer_are_paid_but_are_nobody(snapshot_of, order_of, this_run):
    tables = order_of(
        ("device", at_days_ago(this_run, 6), 900), ("a", at_days_ago(this_run, 5), 100), anonymous=["device"]
    )
    (week,) = windows(snapshot_of(**tables), days=7, count=1)
    assert (week.paid_cents, week.order_count, week.customer_count) == (1_000, 2, 1)


def test_a_window_that_begins_before_the_shop_is_left_out_and_an_empty_one_is_shown(snapshot_of, order_of, this_run):
    tables = order_of(("a", at_days_ago(this_run, 27), 900), ("a", at_days_ago(this_run, 1), 100))
    weeks = windows(snapshot_of(**tables), days=7, count=10)
    assert [week.paid_cents for week in weeks] == [900, 0, 0, 100]
    later = order_of(("a", at_days_ago(this_run, 25), 900), ("a", at_days_ago(this_run, 1), 100))
    assert [window.paid_cents for window in windows(snapshot_of(**later), days=7, count=10)] == [0, 0, 100]


def test_a_shop_without_orders_has_no_windows_and_no_figures(snapshot_of):
    view = snapshot_of()
    assert windows(view, days=7, count=5) == ()
    assert cohorts(view) == ()
    assert all(figure.value is None and figure.previous is None for figure in key_figures(view))


def test_key_figures_compare_ninety_days_with_the_ninety_before(last, rows_of_last):
    figures = {figure.code: figure for figure in key_figures(last)}
    now, before = at_days_ago(last.run, 90), at_days_ago(last.run, 180)
    lines, orders = rows_of_last("order_lines"), rows_of_last("orders")
    for value, begin, end in (
        ("value", now, last.run.as_of),
        ("previous", before, now),
    ):
        paid = sum(row["paid_cents"] for row in lines if begin <= row["ordered_at"] < end)
        ordered = [row for row in orders if begin <= row["occurred_at"] < end]
        assert getattr(figures["revenue"], value) == paid
        assert getattr(figures["buyers"], value) == len({row["customer_id"] for row in ordered})
        assert getattr(figures["order_value"], value) == pytest.approx(paid / len(ordered))
        assert 0 < getattr(figures["repeat_share"], value) < 1


def test_what_the_run_expects_is_next_to_what_the_customers_of_90_days_ago_brought_since(last, rows_of_last):
    figure = next(one for one in key_figures(last) if one.code == "expected_value")
    scores = [row for row in last.read("scores").to_pylist() if row["question"] == "value"]
    runs = sorted({row["run_id"] for row in scores})
    expected = tuple(sum(row["value"] for row in scores if row["run_id"] == run) for run in runs)
    then = at_days_ago(last.run, 90)
    known = {row["customer_id"] for row in rows_of_last("orders") if row["is_identified"] and row["occurred_at"] < then}
    paid = sum(
        row["paid_cents"]
        for row in rows_of_last("order_lines")
        if row["customer_id"] in known and row["ordered_at"] >= then
    )
    assert (figure.value, figure.previous, figure.compared) == (pytest.approx(expected[-1]), paid, "customers_then")
    assert figure.trend == pytest.approx(expected, abs=0.01)


def test_what_others_brought_is_not_compared_with_the_forecast_of_these(snapshot_of, order_of, this_run):
    tables = order_of(
        ("known", at_days_ago(this_run, 185), 9_000),
        ("known", at_days_ago(this_run, 10), 700),
        ("nobody", at_days_ago(this_run, 9), 5_000),
        ("won since", at_days_ago(this_run, 40), 3_000),
        ("won since", at_days_ago(this_run, 8), 200),
        anonymous=("nobody",),
    )
    base = {"run_id": this_run.run_id, "as_of": this_run.as_of, "model_version": "m"}
    scores = [base | {"customer_id": "known", "question": "value", "value": 650.0}]
    figures = {one.code: one for one in key_figures(snapshot_of(scores=scores, **tables))}
    assert (figures["expected_value"].value, figures["expected_value"].previous) == (650.0, 700)
    assert figures["revenue"].value == 8_900


def test_a_forecast_is_not_compared_with_the_first_customers_of_a_shop(snapshot_of, order_of, this_run):
    """90 days ago it had few of today's customers: the forecast would be "up 579 %"."""
    tables = order_of(("first", at_days_ago(this_run, 95), 900), ("first", at_days_ago(this_run, 10), 700))
    base = {"run_id": this_run.run_id, "as_of": this_run.as_of, "model_version": "m"}
    scores = [base | {"customer_id": "first", "question": "value", "value": 650.0}]
    view = snapshot_of(scores=scores, **tables)
    [figure] = [one for one in key_figures(view) if one.code == "expected_value"]
    assert (figure.value, figure.previous) == (650.0, None)
    [tile] = [one for one in period_figures(view, PeriodQuery("90")).figures if one.code == "expected_value"]
    assert (tile.previous, tile.not_compared) == (None, "too_young_then")


def test_the_overdue_are_compared_with_a_run_90_days_ago_never_with_one_minutes_ago(last, snapshot_of, this_run):
    found = next(one for one in key_figures(last) if one.code == "at_risk")
    counts = {}
    for row in last.read("segments").to_pylist():
        counts[row["run_id"]] = counts.get(row["run_id"], 0) + (row["lifecycle_stage"] == "at_risk")
    assert (found.previous, found.value) == tuple(counts[run] for run in sorted(counts))
    assert (found.is_more_better, found.compared) == (False, "earlier_run")

    def figure(*runs):
        fields = dict.fromkeys(("recency_score", "frequency_score", "monetary_score", "persona_id"), 1)
        fields |= {"customer_id": "a", "lifecycle_stage": "at_risk"}
        rows = [fields | {"run_id": run.run_id, "as_of": run.as_of} for run in (*runs, this_run)]
        return next(one for one in key_figures(snapshot_of(segments=rows)) if one.code == "at_risk")

    just_before = [Run.at(this_run.as_of - timedelta(minutes=minutes)) for minutes in (9, 5)]
    assert (figure(*just_before).previous, figure(*just_before).trend) == (None, (1.0, 1.0)), "one point a day"
    assert figure(Run.at(this_run.as_of - timedelta(days=91)), *just_before).previous == 1


def test_a_run_whose_stages_have_another_basis_is_not_compared_with(snapshot_of, this_run):
    """A stage by rhythm alone is another thing than one by the churn forecast."""

    def figure(basis, earlier_basis):
        fields = dict.fromkeys(("recency_score", "frequency_score", "monetary_score", "persona_id"), 1)
        fields |= {"customer_id": "a", "lifecycle_stage": "at_risk"}
        earlier = Run.at(this_run.as_of - timedelta(days=91))
        runs = ((this_run, basis), (earlier, earlier_basis))
        rows = [fields | {"run_id": run.run_id, "as_of": run.as_of, "stage_basis": one} for run, one in runs]
        return next(one for one in key_figures(snapshot_of(segments=rows)) if one.code == "at_risk")

    assert (figure("forecast", "forecast").previous, figure("forecast", "forecast").trend) == (1, (1.0, 1.0))
    for earlier_basis in (None, "rhythm"):
        assert (figure("forecast", earlier_basis).previous, figure("forecast", earlier_basis).trend) == (None, (1.0,))


def test_a_run_knows_nothing_of_later_runs(snapshot_of, this_run):
    later = Run.at(this_run.as_of + timedelta(days=30))
    base = {"customer_id": "a", "question": "value", "model_version": "m"}
    rows = [
        base | {"run_id": run.run_id, "as_of": run.as_of, "value": cents}
        for run, cents in ((this_run, 100.0), (later, 900.0))
    ]
    figures = {figure.code: figure for figure in key_figures(snapshot_of(scores=rows))}
    assert (figures["expected_value"].value, figures["expected_value"].trend) == (100.0, (100.0,))
    after = {figure.code: figure for figure in key_figures(snapshot_of(later, scores=rows))}
    assert (after["expected_value"].value, after["expected_value"].trend) == (900.0, (100.0, 900.0))


@pytest.mark.parametrize(
    ("unit", "value", "previous", "change"),
    [
        ("money", 150.0, 100.0, 0.5),
        ("count", 50, 100, -0.5),
        ("share", 0.3, 0.2, 0.1),
        ("share", 0.3, 0.0, 0.3),
        ("money", 150.0, 0, None),
        ("money", None, 100.0, None),
        ("share", 0.3, None, None),
    ],
)
def test_a_change_is_relative_and_of_a_share_the_difference(unit, value, previous, change):
    found = KeyFigure("x", unit, value, previous, ()).change_share()
    assert found == (None if change is None else pytest.approx(change))


def test_cohorts_hold_everyone_by_the_month_of_their_first_order(last, rows_of_last):
    orders = rows_of_last("orders")
    first = {row["customer_id"]: row["first_order_at"].strftime("%Y-%m") for row in rows_of_last("customers")}
    found = cohorts(last)
    assert [one.month for one in found] == sorted({month for month in first.values() if month < "2017-10"})
    for cohort in found:
        members = {who for who, month in first.items() if month == cohort.month}
        assert cohort.customer_count == len(members)
        begin = int(cohort.month[5:])
        assert len(cohort.shares) == 10 - begin
        for age, share in enumerate(cohort.shares):
            month = f"2017-{begin + age:02d}"
            came = {row["customer_id"] for row in orders if row["occurred_at"].strftime("%Y-%m") == month}
            assert share == pytest.approx(len(members & came) / len(members))


def test_cohorts_span_years_and_leave_out_the_month_that_is_not_over(snapshot_of, order_of, with_cohorts):
    run = Run.at(datetime(2024, 2, 15, tzinfo=UTC))
    tables = order_of(
        ("a", datetime(2023, 11, 30, 23, 59, tzinfo=UTC), 100),
        ("a", datetime(2024, 1, 1, tzinfo=UTC), 100),
        ("b", datetime(2023, 11, 1, tzinfo=UTC), 100),
        ("c", datetime(2024, 1, 31, tzinfo=UTC), 100),
        ("d", datetime(2024, 2, 3, tzinfo=UTC), 100),
        ("device", datetime(2023, 12, 5, tzinfo=UTC), 100),
        anonymous=["device"],
    )
    view = with_cohorts(snapshot_of(run, **tables))
    assert [(cohort.month, cohort.customer_count, cohort.shares) for cohort in cohorts(view)] == [
        ("2023-11", 2, (1.0, 0.0, 0.5)),
        ("2024-01", 1, (1.0,)),
    ]
    assert [cohort.month for cohort in cohorts(view, months=1)] == ["2024-01"]
