"""What every analysis of an experiment's rows does, whatever it estimates."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from patron.experiments import (
    SurrogateIndex,
    analyse,
    bootstrap_effects,
    confidence_sequence,
    guard_rail,
    heterogeneous,
)
from patron.schema.errors import BadExperiment, NotEnoughData

ROWS = 1_200
RNG = np.random.default_rng(11)
TABLE = {
    "arm": np.array(["call", "control", "mail"])[RNG.integers(0, 3, ROWS)],
    "spend": RNG.gamma(2, 10, ROWS).round(2),
    "before": RNG.gamma(2, 10, ROWS).round(2),
    "region": np.array(["north", "south"])[RNG.integers(0, 2, ROWS)],
}
HISTORY = {"spend": TABLE["spend"], "year": 5 * TABLE["spend"] + RNG.normal(0, 10, ROWS)}
INDEX = SurrogateIndex(("spend",)).fit(HISTORY, outcome="year")
ANALYSES = {
    "raw": analyse,
    "adjusted": lambda table, **columns: analyse(table, **columns, covariate="before", strata="region"),
    "ratio": lambda table, **columns: analyse(table, **columns, denominator="before"),
    "mean": lambda table, **columns: bootstrap_effects(table, **columns, resamples=100),
    "median": lambda table, **columns: bootstrap_effects(table, **columns, quantile=0.5, resamples=100),
    "sequence": lambda table, **columns: confidence_sequence(table, **columns, looks=[ROWS // 2, ROWS]),
    "segments": lambda table, **columns: heterogeneous(table, **columns, segment="region"),
    "guard-rail": lambda table, **columns: guard_rail(table, **columns, margin=1.0),
    "long term": lambda table, group, control, **_: INDEX.effects(table, group=group, control=control),
}
COLUMNS = {"group": "arm", "outcome": "spend", "control": "control"}


@pytest.fixture(params=ANALYSES.values(), ids=list(ANALYSES))
def run(request):
    return request.param


def test_every_arm_but_the_control_has_finite_effects_within_their_intervals(run):
    result = run(TABLE, **COLUMNS)
    table = result.to_table()
    assert set(table["arm"].to_pylist()) == {"call", "mail"}
    assert len(result) == table.num_rows
    for row in result:
        assert row.low < row.effect < row.high
    assert pl.DataFrame(result)["effect"].to_list() == [row.effect for row in result]


def test_frames_of_all_kinds_and_arms_of_all_types_give_the_same_effects(run):
    expected = [row.effect for row in run(TABLE, **COLUMNS)]
    frame = pd.DataFrame(TABLE, index=np.arange(ROWS) * 2)
    frames = [frame, frame.astype({"arm": "category"}), pl.DataFrame(TABLE), pa.table(TABLE)]
    frames.append(pa.concat_tables([pa.table(TABLE).slice(0, 7), pa.table(TABLE).slice(7)]))
    for one in frames:
        assert [row.effect for row in run(one, **COLUMNS)] == pytest.approx(expected)
    numbers = {**TABLE, "arm": np.searchsorted(["call", "control", "mail"], TABLE["arm"])}
    result = run(numbers, **COLUMNS | {"control": 1})
    assert [row.effect for row in result] == pytest.approx(expected)
    assert {row.arm for row in result} == {0, 2}


def test_bad_rows_are_refused_in_words(run):
    cases = [
        ({"arm": ["control"] * ROWS}, {}, BadExperiment, "arm: all rows are of control"),
        ({}, {"control": "nothing"}, BadExperiment, r"arm: no row is of the control 'nothing'\. The arms are call"),
        ({"arm": [None, *TABLE["arm"][1:]]}, {}, BadExperiment, "arm: 1 of 1,200 values are missing"),
        ({"spend": [None, *TABLE["spend"][1:]]}, {}, BadExperiment, "spend: 1 of 1,200 values are missing"),
        ({"spend": np.where(np.arange(ROWS) < 2, np.inf, 1.0)}, {}, BadExperiment, "spend: 2 values are not finite"),
        ({"spend": TABLE["arm"]}, {}, BadExperiment, "spend: holds .*, no numbers"),
        ({"arm": ["rare", *TABLE["arm"][1:]]}, {}, NotEnoughData, "arm: rare has one row"),
        ({name: values[:0] for name, values in TABLE.items()}, {}, NotEnoughData, "table: there are no rows"),
    ]
    for changes, columns, error, message in cases:
        with pytest.raises(error, match=message):
            run({**TABLE, **changes}, **COLUMNS | columns)


def test_an_outcome_that_never_changes_has_no_effect(run):
    for row in run({**TABLE, "spend": np.full(ROWS, 12.5)}, **COLUMNS):
        is_ratio = getattr(row, "method", "") == "ratio"
        assert is_ratio or row.effect == 0
        assert row.low <= row.effect <= row.high
