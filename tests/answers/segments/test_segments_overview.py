"""Everybody is in one lifecycle stage, one persona and one bin of value, and shares add up."""

from datetime import timedelta
from itertools import pairwise

import pytest

from patron.answers.segments.segments_overview import LIFECYCLE_STAGES, lifecycle_stages, personas, value_spread
from patron.storage.runs.runs import Run


def forecasts(run, *values):
    base = {"run_id": run.run_id, "as_of": run.as_of, "question": "value", "model_version": "m"}
    return [base | {"customer_id": f"c{at:05d}", "value": float(value)} for at, value in enumerate(values)]


def segments(run, *stages):
    scores = dict.fromkeys(("recency_score", "frequency_score", "monetary_score", "persona_id"), 1)
    base = {"run_id": run.run_id, "as_of": run.as_of, **scores}
    return [base | {"customer_id": f"c{at:05d}", "lifecycle_stage": stage} for at, stage in enumerate(stages)]


def test_every_customer_is_in_one_stage(last, rows_of_last):
    found = lifecycle_stages(last)
    here = [row["lifecycle_stage"] for row in rows_of_last("segments")]
    assert [one.lifecycle_stage for one in found] == list(LIFECYCLE_STAGES)
    assert [one.customer_count for one in found] == [here.count(stage) for stage in LIFECYCLE_STAGES]
    assert sum(one.share for one in found) == pytest.approx(1)


def test_stages_together_expect_what_is_expected_of_everybody(last, rows_of_last):
    total = sum(row["value"] for row in rows_of_last("scores") if row["question"] == "value")
    assert sum(stage.expected_cents for stage in lifecycle_stages(last)) == pytest.approx(total, abs=0.01)
    assert value_spread(last).total_cents == pytest.approx(total, abs=0.01)


def test_stages_are_compared_with_a_run_90_days_before(last):
    before = [row for row in last.read("segments").to_pylist() if row["run_id"] < last.run.run_id]
    counts = {stage: sum(row["lifecycle_stage"] == stage for row in before) for stage in LIFECYCLE_STAGES}
    assert {stage.lifecycle_stage: stage.previous_count for stage in lifecycle_stages(last)} == counts
    assert sum(counts.values()) > 0


def test_stages_are_compared_with_the_run_90_days_before_and_with_no_other(snapshot_of, this_run):
    def previous(*days_before):
        runs = [Run.at(this_run.as_of - timedelta(days=days)) for days in days_before]
        rows = [row for at, run in enumerate(runs) for row in segments(run, *["new", "lapsed"][: at + 1])]
        found = lifecycle_stages(snapshot_of(segments=[*rows, *segments(this_run, "active")]))
        return {one.lifecycle_stage: one.previous_count for one in found if one.previous_count}

    assert previous() == previous(0.005, 1, 30, 89, 98) == {}
    assert previous(96, 91) == {"new": 1, "lapsed": 1}, "the nearer one"
    assert previous(1, 90) == {"new": 1, "lapsed": 1}
    later = {
        stage.lifecycle_stage: stage for stage in lifecycle_stages(snapshot_of(segments=segments(this_run, "active")))
    }
    assert (later["lapsed"].customer_count, later["lapsed"].expected_cents, later["lapsed"].previous_count) == (
        0,
        None,
        None,
    )


def test_a_shop_with_nobody_has_empty_stages(snapshot_of):
    found = lifecycle_stages(snapshot_of())
    assert {(one.customer_count, one.share, one.previous_count) for one in found} == {(0, 0.0, None)}
    assert personas(snapshot_of()) == ()


def test_personas_share_all_customers_and_the_most_valuable_comes_first(last, rows_of_last):
    found = personas(last)
    here = [row["persona_id"] for row in rows_of_last("segments")]
    assert [one.persona_id for one in found] == sorted(set(here))
    assert [one.customer_count for one in found] == [here.count(one.persona_id) for one in found]
    assert sum(one.share for one in found) == pytest.approx(1)
    spend = [one.paid_cents_365_days for one in found]
    assert spend == sorted(spend, reverse=True)


def test_bins_of_value_join_without_gaps_from_nothing_to_no_end(last):
    bins = value_spread(last).bins
    assert bins[0].from_cents == 0
    assert bins[-1].until_cents is None
    assert all(one.until_cents == following.from_cents for one, following in pairwise(bins))


def test_every_forecast_is_in_the_bin_it_belongs_to(last, rows_of_last):
    values = [row["value"] for row in rows_of_last("scores") if row["question"] == "value"]
    spread = value_spread(last)
    for bin_ in spread.bins:
        until = float("inf") if bin_.until_cents is None else bin_.until_cents
        here = [value for value in values if bin_.from_cents <= value < until]
        assert bin_.customer_count == len(here)
        assert bin_.expected_cents == pytest.approx(sum(here), abs=0.01)
    assert sum(bin_.customer_count for bin_ in spread.bins) == len(values)


def test_a_value_on_an_edge_is_in_the_bin_above(snapshot_of, this_run):
    bins = value_spread(snapshot_of(scores=forecasts(this_run, 99.999, 100, 199, 200, 499))).bins
    assert [(bin_.from_cents, bin_.until_cents, bin_.customer_count) for bin_ in bins] == [
        (0, 100, 1),
        (100, 200, 2),
        (200, None, 2),
    ]


def test_bins_at_either_end_with_hardly_anybody_are_joined(snapshot_of, this_run):
    many = [150.0] * 500 + [450.0] * 500
    found = value_spread(snapshot_of(scores=forecasts(this_run, 5, *many, 1_500, 30_000))).bins
    assert [(one.from_cents, one.until_cents, one.customer_count) for one in found] == [(0, 200, 501), (200, None, 502)]
    assert found[-1].expected_cents == 500 * 450 + 1_500 + 30_000


def test_the_most_valuable_tenth_brings_its_share(last, rows_of_last, snapshot_of, this_run):
    values = sorted((row["value"] for row in rows_of_last("scores") if row["question"] == "value"), reverse=True)
    top = sum(values[: len(values) // 10]) / sum(values)
    assert value_spread(last).top_tenth_share == pytest.approx(top)
    assert 0.1 < top < 1
    assert value_spread(snapshot_of(scores=forecasts(this_run, *[10.0] * 40))).top_tenth_share == pytest.approx(0.1)
    assert value_spread(snapshot_of(scores=forecasts(this_run, *[10.0] * 9))).top_tenth_share is None


def test_a_shop_without_value_has_no_share_of_it(snapshot_of, this_run):
    nothing = value_spread(snapshot_of())
    assert (nothing.bins, nothing.total_cents, nothing.top_tenth_share) == ((), None, None)
    zero = value_spread(snapshot_of(scores=forecasts(this_run, *[0.0] * 20)))
    assert (zero.total_cents, zero.top_tenth_share, sum(bin_.customer_count for bin_ in zero.bins)) == (0.0, None, 20)


def test_the_interval_of_the_total_is_that_of_the_run(last, snapshot_of, this_run, rows_of_last):
    (whole,) = rows_of_last("shop_forecasts")
    spread = value_spread(last)
    assert (spread.low_cents, spread.high_cents) == (whole["low"], whole["high"])
    assert value_spread(snapshot_of(scores=forecasts(this_run, 10))).low_cents is None


def test_people_without_an_order_are_expected_to_bring_something_apart(snapshot_of, this_run):
    (of_customer,) = forecasts(this_run, 500)
    prospects = [of_customer | {"question": "prospects", "customer_id": name, "value": 30.0} for name in ("p", "q")]
    found = value_spread(snapshot_of(scores=[of_customer, *prospects]))
    assert (found.total_cents, found.prospect_count, found.prospects_cents) == (500.0, 2, 60.0)
    assert (value_spread(snapshot_of()).prospect_count, value_spread(snapshot_of()).prospects_cents) == (0, 0.0)


def test_personas_of_a_run_that_did_not_measure_stability_are_shown_without(snapshot_of, this_run):
    fields = dict.fromkeys(("customer_count", "persona_id"), 0) | {"name_code": "frequent", "run_id": this_run.run_id}
    fields |= dict.fromkeys(("paid_cents_365_days", "order_count_365_days", "days_since_last_order"), 1.0)
    (persona,) = personas(snapshot_of(personas=[fields]))
    assert (persona.stability, persona.stability_level, persona.overall_stability) == (None, None, None)
