from datetime import UTC, datetime
from math import sqrt

import pytest

from patron.answers.insight.cohort_sums import cohort_sums, known_groupings, month_number, month_text
from patron.answers.insight.payback import paybacks, unused_costs
from patron.answers.insight.retention import MAX_GROUPS, OTHER, retention
from patron.answers.insight.revenue import cohorts
from patron.answers.insight.share_intervals import REACH_95, share_interval
from patron.storage.runs.runs import Run

IN_JUNE = Run.at(datetime(2024, 6, 10, tzinfo=UTC))


def at(month, day):
    return datetime(2024, month, day, tzinfo=UTC)


@pytest.fixture(scope="module")
def view(snapshot_of, order_of, with_cohorts):
    """Ann and Ben came in March by ads, Cy in April by the web; what Ann paid in May came back in part."""
    rows = order_of(
        ("ann", at(3, 5), 10_000),
        ("ben", at(3, 20), 4_000),
        ("ann", at(5, 2), 6_000),
        ("cy", at(4, 1), 5_000),
        ("cy", at(6, 3), 1_000),
        refunds=[(2, 2_000)],
    )
    channels = {"ann": "ad", "ben": "ad", "cy": "web"}
    customers = [row | {"acquisition_channel": channels[row["customer_id"]]} for row in rows["customers"]]
    lines = [
        row | {"category": "Tea" if row["customer_id"] == "ann" else "Bread", "occurred_at": row["ordered_at"]}
        for row in rows["order_lines"]
    ]
    country = {"customer_id": "cy", "trait": "country", "value": "FR", "event_id": "e", "occurred_at": at(4, 1)}
    traits = [country | {"known_at": at(4, 1)}, country | {"value": "BE", "event_id": "f", "known_at": at(5, 1)}]
    facts = snapshot_of(IN_JUNE, **(rows | {"customers": customers, "order_lines": lines, "traits": traits}))
    return with_cohorts(facts)


def shown(view, grouping="month", *, measure="share", group=None, months=12):
    sums = cohort_sums(view, grouping)
    return retention(
        view, sums, measure=measure, grouping=grouping, group=group, months=months, groupings=known_groupings(view)
    )


def test_shares_are_those_of_the_report(last):
    facts = shown(last)
    rows = [(row.code, row.customer_count, tuple(cell.value for cell in row.cells)) for row in facts.rows]
    assert rows == [(cohort.month, cohort.customer_count, cohort.shares) for cohort in cohorts(last)]
    assert len(rows) > 3
    assert all(cell.low <= cell.value <= cell.high for row in facts.rows for cell in row.cells)


def test_a_month_that_is_not_over_is_marked_and_counts_in_no_mean(view):
    facts = shown(view)
    assert [(row.code, [cell.value for cell in row.cells]) for row in facts.rows] == [
        ("2024-03", [1.0, 0.0, 0.5, 0.0]),
        ("2024-04", [1.0, 0.0, 1.0]),
    ]
    assert [[cell.is_complete for cell in row.cells] for row in facts.rows] == [
        [True] * 3 + [False],
        [True] * 2 + [False],
    ]
    assert [(cell.value, cell.customer_count) for cell in facts.mean.cells] == [(1.0, 3), (0.0, 3), (0.5, 2)]


def test_money_adds_up_by_hand(view):
    march = shown(view, measure="revenue").rows[0]
    assert [cell.value for cell in march.cells] == [7_000, 7_000, 9_000, 9_000]
    deviation = sqrt(((14_000 - 9_000) ** 2 + (4_000 - 9_000) ** 2) / 1)
    assert march.cells[2].high - march.cells[2].value == pytest.approx(REACH_95 * deviation / sqrt(2))
    assert march.so_far_cents == 9_000
    margin = shown(view, measure="margin").rows[0]
    assert [cell.value for cell in margin.cells] == pytest.approx([0.3 * one for one in (7_000, 7_000, 9_000, 9_000)])
    assert shown(view, measure="revenue").rows[1].cells[0].low is None


def test_groups_split_the_same_customers(view):
    assert known_groupings(view) == ("month", "channel", "category", "country")
    assert [(row.code, row.customer_count) for row in shown(view, "channel").rows] == [("ad", 2), ("web", 1)]
    assert [(row.code, row.customer_count) for row in shown(view, "category").rows] == [("Bread", 2), ("Tea", 1)]
    assert [(row.code, row.customer_count) for row in shown(view, "country").rows] == [("BE", 1), ("", 2)]
    of_ads = shown(view, "channel", group="ad", measure="revenue")
    assert of_ads.rows == shown(view, measure="revenue").rows[:1]
    assert shown(view, "channel", group="radio").rows == ()


def test_forecasts_stand_next_to_what_was_paid(last, rows_of_last):
    facts = shown(last, measure="revenue")
    scores = [row["value"] for row in rows_of_last("scores") if row["question"] == "value"]
    assert facts.mean.expected_cents == pytest.approx(sum(scores) / len(scores))
    assert facts.mean.expected_low < facts.mean.expected_cents < facts.mean.expected_high
    relative = [(one.expected_high - one.expected_low) / one.expected_cents for one in (facts.mean, facts.rows[-1])]
    assert relative[0] < relative[1], "three customers are less sure than three hundred"
    by_category = shown(last, "category", measure="revenue")
    assert sum(row.customer_count for row in by_category.rows) == facts.mean.customer_count
    assert by_category.mean.so_far_cents == pytest.approx(facts.mean.so_far_cents)
    assert len(by_category.rows) <= MAX_GROUPS + 2
    assert OTHER not in {row.code for row in by_category.rows}


def test_payback_is_the_month_in_which_margin_covers_the_cost(view):
    sums = cohort_sums(view, "channel")
    march, april, june = (month_number(f"2024-0{month}") for month in (3, 4, 6))
    costs = {("ad", march): 5_000, ("web", april): 9_000, ("web", june): 1_000, ("tv", march): 7}
    together, ad, web = paybacks(sums, costs)
    assert (ad.cost_per_customer_cents, ad.paid_back, ad.latest) == (2_500, 2, None)
    assert ad.earliest == 0
    assert (ad.first_month, ad.last_month) == ("2024-03", "2024-03")
    assert [month.margin_cents for month in ad.months] == pytest.approx([2_100, 2_100, 2_700])
    assert (web.customer_count, web.months, web.paid_back) == (1, (), None), "of one customer no interval is known"
    assert (together.cost_cents, together.customer_count) == (14_000, 3)
    assert unused_costs(sums, costs) == (("tv", "2024-03"), ("web", "2024-06"))
    assert paybacks(sums, {}) == ()
    assert month_text(march) == "2024-03"


def test_the_interval_of_a_share_stays_within_0_and_1():
    assert share_interval(0, 0) == (0.0, 1.0)
    low, high = share_interval(0, 50)
    assert low == 0.0
    assert 0.05 < high < 0.1
    assert share_interval(50, 50) == pytest.approx((1 - high, 1.0))


def test_months_begin_at_midnight_of_the_shops_clock(snapshot_of, order_of, with_cohorts, monkeypatch):
    """Half past eleven in the evening of March 31 in UTC is April in Shanghai, and so is the evening of May 31 June."""
    late = datetime(2024, 3, 31, 23, 30, tzinfo=UTC)
    rows = order_of(("ann", late, 1_000), ("ann", datetime(2024, 5, 31, 20, tzinfo=UTC), 2_000))
    facts = snapshot_of(Run.at(datetime(2024, 5, 31, 21, tzinfo=UTC)), **rows)
    view = with_cohorts(facts)
    assert [(cohort.month, dict(cohort.ages)[2].paid_cents) for cohort in cohort_sums(view, "month").cohorts] == [
        (month_number("2024-03"), 2_000)
    ]
    zoned = view.settings.model_copy(
        update={"shop": view.settings.shop.model_copy(update={"time_zone": "Asia/Shanghai"})}
    )
    monkeypatch.setattr(view.shop, "settings", zoned)
    view = with_cohorts(facts)
    sums = cohort_sums(view, "month")
    assert [(cohort.month, dict(cohort.ages)[2].paid_cents) for cohort in sums.cohorts] == [
        (month_number("2024-04"), 2_000)
    ]
    assert (sums.run_month, [cohort.month for cohort in cohorts(view)]) == (month_number("2024-06"), ["2024-04"])
