import pytest

from patron.answers.insight.experiment_line import verdict_of
from patron.answers.insight.experiment_results import Gain
from patron.answers.insight.experiments import list_experiments, show_experiment
from patron.schema.errors import NotFound


def gain(low, high):
    return Gain.of((low + high) / 2, low, high, error=1.0, treated=10)


@pytest.mark.parametrize(
    ("low", "high", "p_value", "is_final", "verdict"),
    [
        (1.0, 5.0, 0.5, True, "won"),
        (1.0, 5.0, 0.5, False, "won"),
        (-5.0, -1.0, None, True, "lost"),
        (-1.0, 5.0, 0.5, True, "inconclusive"),
        (-1.0, 5.0, 0.5, False, "running"),
        (1.0, 5.0, 0.0005, True, "distrusted"),
    ],
)
def test_the_verdict_follows_from_the_interval_unless_the_arms_are_wrong(low, high, p_value, is_final, verdict):
    assert verdict_of(gain(low, high), p_value, is_final=is_final) == verdict


def test_without_a_control_group_or_offers_nothing_is_won():
    assert verdict_of(None, None, is_final=True) == "no_control"
    assert verdict_of(gain(1.0, 5.0), None, is_final=False, is_placebo=True) == "placebo"


def test_offers_are_one_experiment_that_never_ends(made_shop, rows_of_last):
    row = next(one for one in rows_of_last("effects") if one["stratum"] == "all")
    listing = list_experiments(made_shop)
    line = next(one for one in listing.rows if one.kind == "offers")
    assert (line.verdict, line.is_final) == ("placebo", False)
    assert line.gain.customer_cents == pytest.approx(row["effect_cents"])
    assert line.gain.total_high == pytest.approx(row["high"] * row["treated_count"])
    assert line.detectable_cents == pytest.approx(2.8 * row["standard_error"], rel=0.001)
    detail = show_experiment(made_shop, "offers", line.name)
    assert {one.stratum for one in detail.offers.strata} == {
        one["stratum"] for one in rows_of_last("effects") if one["stratum"] != "all"
    }
    assert [run.run_id for run in detail.offers.runs] == [listing.run_id]
    with pytest.raises(NotFound, match="no experiment"):
        show_experiment(made_shop, "offers", "pricing")
