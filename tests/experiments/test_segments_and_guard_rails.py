"""Effects in segments, guard-rails, long-term effects: right where the truth is known, and at their levels."""

import numpy as np
import pytest
from scipy import stats

from patron.estimators.multiple_tests import adjust_p_values
from patron.experiments import FittedSurrogateIndex, SurrogateIndex, analyse, guard_rail, heterogeneous
from patron.schema.errors import BadExperiment, NotEnoughData

COLUMNS = {"group": "arm", "outcome": "spend", "control": "control"}


def shop(seed, *, rows=2_000, effects=(0.0, 0.0, 0.0, 0.0)):
    """Customers of four segments, each with its effect of the offer; new ones have no earlier spend."""
    rng = np.random.default_rng(seed)
    arm, segment = rng.integers(0, 2, rows), rng.integers(0, 4, rows)
    before = np.where(segment == 0, 0.0, rng.gamma(2, 20, rows))
    spend = 0.5 * before + rng.gamma(2, 10, rows) + np.array(effects)[segment] * arm
    names = np.array(["new", "regular", "loyal", "lapsed"])[segment]
    return {"arm": np.where(arm == 1, "offer", "control"), "segment": names, "before": before, "spend": spend}


def test_each_segment_has_the_effect_of_its_rows_alone():
    table = shop(1, effects=(0, 2, 8, 0))
    parts = heterogeneous(table, **COLUMNS, segment="segment", covariate="before")
    assert [row.segment for row in parts] == ["lapsed", "loyal", "new", "regular"]
    for row in parts:
        rows = {name: values[table["segment"] == row.segment] for name, values in table.items()}
        covariate = None if row.segment == "new" else "before"
        alone = analyse(rows, **COLUMNS, covariate=covariate).row("offer", "cuped" if covariate else "raw")
        assert (row.effect, row.low, row.p_value) == pytest.approx((alone.effect, alone.low, alone.p_value))
    assert parts.homogeneity["offer"] < 1e-3
    assert {row.segment for row in parts if row.adjusted_p_value < 0.05} == {"loyal"}


def test_without_any_effect_a_corrected_segment_is_significant_in_5_per_cent_of_experiments():
    runs = [heterogeneous(shop(seed, rows=400), **COLUMNS, segment="segment") for seed in range(400)]
    error = 3 * (0.05 * 0.95 / 400) ** 0.5
    assert np.mean([min(row.adjusted_p_value for row in parts) < 0.05 for parts in runs]) < 0.05 + error
    assert np.mean([min(row.p_value for row in parts) < 0.05 for parts in runs]) > 0.05 + error
    assert abs(np.mean([parts.homogeneity["offer"] < 0.05 for parts in runs]) - 0.05) < error


def test_holm_is_what_its_definition_says():
    assert adjust_p_values(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_p_values(np.array([0.9, 0.8])) == pytest.approx([1, 1])


def test_segments_that_cannot_be_are_refused_in_words():
    table = shop(2)
    with pytest.raises(BadExperiment, match="arm: all rows are of control"):
        heterogeneous(table | {"arm": ["control"] * 2_000}, **COLUMNS, segment="segment")
    with pytest.raises(BadExperiment, match=r"segment: all rows are of all. Choose a column"):
        heterogeneous(table | {"segment": ["all"] * 2_000}, **COLUMNS, segment="segment")
    with pytest.raises(NotEnoughData, match=r"segment: segment rare has . rows of .*, and needs 2. Merge"):
        heterogeneous(table | {"segment": ["rare", *table["segment"][1:]]}, **COLUMNS, segment="segment")


@pytest.mark.parametrize(("effect", "margin", "verdict"), [(0, 3, "safe"), (-8, 3, "harmed"), (-3, 3, "unclear")])
def test_a_guard_rail_says_safe_harmed_or_unclear(effect, margin, verdict):
    (row,) = guard_rail(shop(3, effects=(effect,) * 4), **COLUMNS, margin=margin)
    assert row.verdict == verdict
    assert guard_rail(shop(3, rows=30, effects=(effect,) * 4), **COLUMNS, margin=margin).rows[0].verdict == "unclear"


def test_a_fall_of_the_margin_passes_a_guard_rail_in_5_per_cent_and_a_covariate_makes_it_surer():
    runs = [shop(seed, rows=300, effects=(-3, -3, -3, -3)) for seed in range(400)]
    safe = [guard_rail(table, **COLUMNS, margin=3).rows[0].verdict == "safe" for table in runs]
    assert abs(np.mean(safe) - 0.05) < 3 * (0.05 * 0.95 / 400) ** 0.5
    raw, cuped = (guard_rail(runs[0], **COLUMNS, margin=3, covariate=one).rows[0] for one in (None, "before"))
    assert cuped.high - cuped.low < raw.high - raw.low
    one_sided = stats.ttest_ind(
        *(runs[0]["spend"][runs[0]["arm"] == arm] for arm in ("offer", "control")), equal_var=False
    ).confidence_interval(0.9)
    assert (raw.low, raw.high) == pytest.approx(tuple(one_sided))


@pytest.mark.parametrize("margin", [0, -1, np.nan])
def test_margins_that_cannot_be_are_refused_in_words(margin):
    with pytest.raises(BadExperiment, match=r"margin: .* is not above 0"):
        guard_rail(shop(3), **COLUMNS, margin=margin)


SURROGATES = ("orders", "visits")


def year(seed, rows, effect):
    """Orders and visits of the first weeks, which the offer moves, and the year's value, which follows them."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, 2, rows)
    orders, visits = rng.poisson(1 + effect * arm), rng.poisson(4, rows)
    value = 30 * orders + 2 * visits + rng.normal(0, 40 + 10 * orders)
    return {"arm": arm, "orders": orders, "visits": visits, "value": value}


def test_the_surrogate_index_holds_the_long_term_effect_in_95_per_cent_of_runs():
    held = []
    for seed in range(300):
        fitted = SurrogateIndex(SURROGATES).fit(year(seed, 150, 0.0), outcome="value")
        (row,) = fitted.effects(year(seed + 1_000, 400, 0.5), group="arm", control=0)
        held.append(row.low <= 15 <= row.high)
    assert abs(np.mean(held) - 0.95) < 3 * (0.95 * 0.05 / 300) ** 0.5


def test_the_index_is_least_squares_and_surer_than_the_outcome_itself(tmp_path):
    history, test = year(1, 5_000, 0.0), year(2, 2_000, 0.5)
    fitted = SurrogateIndex(SURROGATES).fit(history, outcome="value")
    design = np.column_stack([np.ones(5_000), history["orders"], history["visits"]])
    assert fitted.slopes == pytest.approx(np.linalg.lstsq(design, history["value"])[0])
    assert fitted.predict(history) == pytest.approx(design @ fitted.slopes)
    assert fitted.share_explained == pytest.approx(np.corrcoef(fitted.predict(history), history["value"])[0, 1] ** 2)
    (row,) = fitted.effects(test, group="arm", control=0)
    waiting = analyse(test, group="arm", outcome="value", control=0).row(1)
    assert row.standard_error < 0.8 * waiting.standard_error
    fitted.save(tmp_path / "index.json")
    assert FittedSurrogateIndex.load(tmp_path / "index.json").effects(test, group="arm", control=0).rows == (row,)


def test_surrogates_that_cannot_be_are_refused_in_words(tmp_path):
    history = year(1, 50, 0.0)
    with pytest.raises(BadExperiment, match="reviews: there is no such column"):
        SurrogateIndex(("reviews",)).fit(history, outcome="value")
    with pytest.raises(NotEnoughData, match="history: 3 customers for 2 surrogates"):
        SurrogateIndex(SURROGATES).fit({name: values[:3] for name, values in history.items()}, outcome="value")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(BadExperiment, match="not a saved surrogate index"):
        FittedSurrogateIndex.load(tmp_path / "other.json")
