"""Why customers leave, for the whole shop: the first reasons of all together, and what the strongest features do."""

import numpy as np
import pyarrow as pa

from patron.estimators.learner import FORECAST, Explains, Fitted
from patron.predict.churn.churn_reasons import is_likely_to_leave
from patron.schema.models.questions import Question
from patron.schema.models.reason_codes import CODE_OF_FEATURE
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import CHURN_DRIVERS, PARTIAL_DEPENDENCE
from patron.storage.engine import exact_sum
from patron.storage.runs.stage_view import StageView

SAMPLED_CUSTOMERS = 1_000
STRONGEST_FEATURES = 4
QUANTILES = (0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95)


def churn_drivers(view: StageView, scores: pa.Table, reasons: pa.Table) -> pa.Table:
    """Rows of `churn_drivers`: customers likely to leave by their first reason; none in a run without reasons."""
    if not reasons.num_rows:
        return CHURN_DRIVERS.empty()
    is_likely = is_likely_to_leave(float_column(scores, "value"), view.policy)
    chosen = scores.select(["customer_id", "value"]).filter(pa.array(is_likely))
    sql = f"""
        select '{view.run.run_id}' as run_id, coalesce(r.code, 'none') as code, count(*) as customer_count,
            count(*) * 1.0 / {chosen.num_rows} as share,
            {exact_sum("r.contribution")} / nullif(count(r.code), 0) as mean_contribution,
            {exact_sum("s.value")} / count(*) as mean_churn_probability
        from likely s left join reasons_of r on r.customer_id = s.customer_id and r.rank = 1
        group by 2 order by count(*) desc, 2"""
    return view.query(sql, likely=chosen, reasons_of=reasons).cast(CHURN_DRIVERS.schema())


def partial_dependence(view: StageView, question: Question, fitted: Fitted, rows: pa.Table) -> pa.Table:
    """Rows of `partial_dependence` of the features of reasons that move the forecast most.

    A feature is set to the same value for a sample of customers (the first rows, whose order says nothing about them),
    and their mean forecast is taken (Friedman 2001). Other features stay as they are, also where no customer is so.
    """
    sample = rows.slice(0, SAMPLED_CUSTOMERS)
    tables = [PARTIAL_DEPENDENCE.empty()]
    for feature in _strongest_features(fitted, sample):
        values = float_column(sample, feature, np.nan)
        at = np.unique(np.quantile(values[~np.isnan(values)], QUANTILES))
        # why all values in one table: a call costs more than a thousand rows
        repeated = pa.concat_tables([_with_value(sample, feature, one) for one in at])
        forecasts = float_column(fitted.predict(repeated), FORECAST).reshape(len(at), sample.num_rows)
        columns = {
            "run_id": [view.run.run_id] * len(at),
            "question": [question.name] * len(at),
            "feature": [feature] * len(at),
            "value": at,
            "mean_forecast": forecasts.mean(axis=1),
        }
        tables.append(pa.table(columns, schema=PARTIAL_DEPENDENCE.schema()))
    return pa.concat_tables(tables)


def _strongest_features(fitted: Fitted, sample: pa.Table) -> list[str]:
    """The features of reasons with the largest mean contribution, whatever its sign."""
    if not isinstance(fitted, Explains) or not sample.num_rows:
        return []
    names, values = fitted.contributions(sample)
    sizes: Numbers = np.abs(values).mean(axis=0)
    order = [names[place] for place in np.argsort(-sizes, kind="stable") if sizes[place] > 0]
    return [name for name in order if name in CODE_OF_FEATURE and _is_known(sample, name)][:STRONGEST_FEATURES]


def _is_known(rows: pa.Table, feature: str) -> bool:
    return feature in rows.column_names and rows[feature].null_count < rows.num_rows


def _with_value(rows: pa.Table, feature: str, value: float) -> pa.Table:
    column = pa.array(np.full(rows.num_rows, value))
    return rows.set_column(rows.column_names.index(feature), feature, column)
