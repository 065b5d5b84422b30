"""Write `model_alarms`: data, scores and calibration that changed more than they usually do, related ones as one."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from patron.measure.feature_changes import (
    FeatureChange,
    FeatureCounts,
    cells_of,
    count_cells,
    find_changes,
    is_watched,
)
from patron.measure.forecast_alarms import (
    MIN_RATIO,
    ForecastCheck,
    calibration_error,
    earlier_checks,
    error_ratio,
)
from patron.measure.forecast_checks import EVERYBODY, forecast_and_actual
from patron.schema.data.data_sources import sources_of
from patron.schema.models.questions import QUESTION_BY_NAME, QUESTIONS, Question
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import FEATURES, MODEL_ALARMS
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

RUNS_COMPARED = 13
"""Runs whose scores tell what is usual, this one included."""
Row = dict[str, Any]


def write_model_alarms(view: StageView) -> pa.Table:
    """Write the run's alarms, and return them."""
    rows = [*data_alarms(view), *score_alarms(view), *calibration_alarms(view)]
    alarms = pa.Table.from_pylist([{"run_id": view.run.run_id} | row for row in rows], schema=MODEL_ALARMS.schema())
    view.write(MODEL_ALARMS.name, alarms)
    return alarms


def data_alarms(view: StageView) -> list[Row]:
    """Features that changed more than usual since the cutoff before, one alarm for each source of them."""
    of_run = "from this_features"
    cutoffs = view.query(f"select as_of, count(*) as n {of_run} group by as_of order by as_of").to_pylist()
    columns = view.query(f"select * {of_run} limit 0").column_names
    names = [name for name in columns if name not in FEATURES.names and is_watched(name)]
    if len(cutoffs) < 2 or not names:
        return []
    # why the cutoff before: its bins divide what is usual
    before, now = cutoffs[-2:]
    reference, current = (_features_at(view, cutoff["as_of"], names) for cutoff in (before, now))
    cells = {name: cells_of(reference[name]) for name in names}
    counts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    older = (_features_at(view, cutoff["as_of"], names) for cutoff in cutoffs[:-2])
    for rows in chain(older, (reference, current)):
        for name in names:
            counts[name].append(count_cells(rows[name], cells[name]))
    features = [FeatureCounts(name, cells[name], np.array(counts[name])) for name in names]
    same = {"kind": "data", "since": before["as_of"], "customer_count": now["n"]}
    groups = group_changes(find_changes(features))
    return [same | _data_alarm(group, source, reference, current) for source, group in groups]


def group_changes(changes: Sequence[FeatureChange]) -> list[tuple[str, list[FeatureChange]]]:
    """Changes by the source that they have in common; the one that says it most clearly first."""
    sourced = [(change, sources_of(change.feature, is_size=change.part == "size")) for change in changes]
    # why: a feature of one source says more clearly what happened than one of several
    sourced.sort(key=lambda one: (len(one[1]), -one[0].index / one[0].limit, one[0].feature))
    groups = []
    while sourced:
        source = sourced[0][1][0]
        groups.append((source, [change for change, sources in sourced if source in sources]))
        sourced = [(change, sources) for change, sources in sourced if source not in sources]
    return groups


def score_alarms(view: StageView) -> list[Row]:
    """Questions whose scores are distributed otherwise than in the run before, by more than between earlier runs."""
    scored = {question.name: _scores_by_run(view, question) for question in QUESTIONS if not question.is_ranking}
    features = []
    for name, runs in scored.items():
        if len(runs) >= 2:
            cells = cells_of(runs[-2][1])
            features.append(FeatureCounts(name, cells, np.array([count_cells(column, cells) for _, column in runs])))
    rows: dict[str, Row] = {}
    for change in find_changes(features):
        (since, old), (_, new) = scored[change.feature][-2:]
        before, now = _mean(old), _mean(new)
        if error_ratio(before, now, is_probability=QUESTION_BY_NAME[change.feature].is_probability) >= MIN_RATIO:
            same = {"kind": "scores", "part": "mean", "subject": change.feature, "related": []}
            measured = {"value": change.index, "allowed": change.limit, "before": before, "now": now}
            rows[change.feature] = same | measured | {"since": since, "customer_count": len(new)}
    return list(rows.values())


def calibration_alarms(view: StageView) -> list[Row]:
    """Questions whose newest forecast that can be checked was wrong by more than usual."""
    sql = f"""
select question, scored_at, forecast_mean, actual_mean from this_forecast_checks
where decile = {EVERYBODY} order by question, scored_at"""
    checks: dict[str, list[ForecastCheck]] = {}
    for row in view.query(sql).to_pylist():
        checks.setdefault(row.pop("question"), []).append(ForecastCheck(**row))
    by_name = {question.name: question for question in QUESTIONS}
    rows = (_calibration_alarm(view, by_name[name], of_question, len(checks)) for name, of_question in checks.items())
    return [row for row in rows if row]


def _calibration_alarm(view: StageView, question: Question, checks: list[ForecastCheck], tests: int) -> Row | None:
    newest = checks[-1]
    run_id = view.query(
        f"""select max(run_id) as run_id from scores
        where question = '{question.name}' and as_of = {timestamp(newest.scored_at)}"""
    )["run_id"][0].as_py()
    compared = forecast_and_actual(view, question, run_id)
    forecast, actual = float_column(compared, "forecast"), float_column(compared, "actual")
    earlier = earlier_checks(checks, newest.scored_at, question.horizon_days)
    error = calibration_error(forecast, actual, earlier, is_probability=question.is_probability, tests=tests)
    if error is None:
        return None
    same = {"kind": "calibration", "part": "mean", "subject": question.name, "related": []}
    means = {"before": error.forecast_mean, "now": error.actual_mean}
    measured = {"value": error.ratio, "allowed": error.allowed_ratio}
    return same | means | measured | {"since": newest.scored_at, "customer_count": len(forecast)}


def _features_at(view: StageView, as_of: datetime, names: Sequence[str]) -> pa.Table:
    columns = ", ".join(f'"{name}"' for name in names)
    return view.query(f"select {columns} from this_features where as_of = {timestamp(as_of)}")


def _data_alarm(group: list[FeatureChange], source: str, before: pa.Table, now: pa.Table) -> Row:
    """One alarm: its clearest change, and the names of the features that changed with it."""
    change = group[0]
    row = {"part": change.part, "subject": change.feature, "source": source, "level": change.level}
    row |= {"value": change.index, "allowed": change.limit, "before": change.before, "now": change.now}
    if change.part == "size":
        row |= {"before": _mean_size(before[change.feature]), "now": _mean_size(now[change.feature])}
    return row | {"related": sorted({other.feature for other in group} - {change.feature})}


def _scores_by_run(view: StageView, question: Question) -> list[tuple[datetime, pa.ChunkedArray]]:
    """Cutoff and scores of the newest runs up to this one, the oldest first; none where this run has no scores."""
    runs = view.query(
        f"""select run_id, max(as_of) as as_of from scores
        where question = '{question.name}' and as_of <= {timestamp(view.run.as_of)}
        group by run_id order by as_of desc, run_id limit {RUNS_COMPARED}"""
    ).to_pylist()
    if not runs or runs[0]["run_id"] != view.run.run_id:
        return []
    of_run = f"select value from scores where question = '{question.name}' and run_id = "
    return [(run["as_of"], view.query(f"{of_run}'{run['run_id']}'")["value"]) for run in reversed(runs)]


def _mean_size(column: pa.ChunkedArray) -> float:
    values = _known(column)
    return _sorted_mean(values[values != 0])


def _mean(column: pa.ChunkedArray) -> float:
    return _sorted_mean(_known(column))


def _known(column: pa.ChunkedArray) -> Numbers:
    return np.asarray(column.drop_null().cast(pa.float64()).to_numpy(), dtype=np.float64)


def _sorted_mean(values: Numbers) -> float:
    # why sorted: a sum of floats depends on the order of the rows, and that of the rows on their ids
    return float(np.sort(values).mean()) if len(values) else 0.0
