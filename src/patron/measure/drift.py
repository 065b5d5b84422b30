"""How the distributions of the features changed since the run before."""

import numpy as np
import pyarrow as pa

from patron.schema.models.metrics import population_stability_index
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import DRIFT, FEATURES
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView


def measure_drift(view: StageView) -> pa.Table:
    """Write `drift` of every number among the features, and return it; nothing on the first run."""
    run = view.run
    previous_runs = view.query(
        f"""select run_id, max(as_of) as as_of from features
        where run_id <> '{run.run_id}' and as_of < {timestamp(run.as_of)}
        group by run_id order by 2 desc, 1 limit 1"""
    ).to_pylist()
    rows = DRIFT.empty()
    if previous_runs:
        previous = previous_runs[0]
        before, after = (
            view.query(
                f"select * from features where run_id = '{name}' and as_of = {timestamp(at)} order by customer_id"
            )
            for name, at in ((previous["run_id"], previous["as_of"]), (run.run_id, run.as_of))
        )
        drift_rows = [
            {"run_id": run.run_id, "reference_run_id": previous["run_id"]} | row for row in feature_drift(before, after)
        ]
        rows = pa.Table.from_pylist(drift_rows, schema=DRIFT.schema())
    view.write("drift", rows)
    return rows


def feature_drift(before: pa.Table, after: pa.Table) -> list[dict[str, str | float | None]]:
    """Population stability index and means of every number that both tables have, in order of name."""
    names = sorted(set(before.column_names) & set(after.column_names) - FEATURES.names)
    pairs = [
        (name, float_column(before, name, np.nan), float_column(after, name, np.nan))
        for name in names
        if _is_number(after, name)
    ]
    return [
        {
            "feature": name,
            "population_stability_index": population_stability_index(old, new),
            "mean_before": _mean(old),
            "mean_now": _mean(new),
        }
        for name, old, new in pairs
        if len(old) and len(new)
    ]


def _is_number(rows: pa.Table, name: str) -> bool:
    kind = rows.schema.field(name).type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _mean(values: Numbers) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
