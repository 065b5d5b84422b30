"""When the next order is likely: from the probabilities of an order within 7, 30 and 90 days.

Between two of these days the hazard is constant, so that the share who have ordered by a day is known for every day.
The median is the day by which half of such customers have ordered; the 80 % interval leaves out a tenth on each side.
Beyond 90 days nothing is said.
"""

import numpy as np
import pyarrow as pa

from patron.predict.purchase.coherent_probabilities import order_probability
from patron.schema.models.questions import CHURN, PURCHASE, PURCHASE_7_DAYS
from patron.schema.numbers import Numbers
from patron.schema.tables import NEXT_ORDERS
from patron.storage.models.missing_forecasts import is_answered
from patron.storage.runs.stage_view import StageView

QUANTILES = {"low_days": 0.1, "median_days": 0.5, "high_days": 0.9}
MIN_SURVIVAL = 1e-12
QUESTIONS = (PURCHASE_7_DAYS, PURCHASE, CHURN)


def days_until(chances: Numbers, horizons: Numbers, quantile: float) -> Numbers:
    """Days by which a share of such customers have ordered; NaN beyond the last horizon.

    `chances` has a row per customer and a column per horizon (days, rising), not falling from left to right.
    """
    survival = np.column_stack([np.ones(len(chances)), np.maximum(1 - chances, MIN_SURVIVAL)])
    hazard = -np.log(survival)
    days = np.concatenate([[0.0], horizons])
    wanted = -np.log1p(-quantile)
    place = (hazard < wanted).sum(axis=1)
    within = place < hazard.shape[1]
    upper = np.minimum(place, hazard.shape[1] - 1)
    rows = np.arange(len(chances))
    start, end = hazard[rows, upper - 1], hazard[rows, upper]
    share = np.divide(wanted - start, end - start, out=np.zeros(len(rows)), where=end > start)
    return np.where(within, days[upper - 1] + share * (days[upper] - days[upper - 1]), np.nan)


def build_next_orders(view: StageView) -> None:
    """Write `next_orders`: one row per customer, where all three probabilities are forecast."""
    scores = {question: _read_scores(view, question.name) for question in QUESTIONS}
    is_known = all(is_answered(view, question) and scores[question].num_rows for question in QUESTIONS)
    view.write("next_orders", _rows(view.run.run_id, scores) if is_known else NEXT_ORDERS.empty())


def _read_scores(view: StageView, question: str) -> pa.Table:
    return view.query(f"""
select customer_id, question, value from this_scores
where question = '{question}' order by customer_id""")


def _rows(run_id: str, scores: dict) -> pa.Table:
    chances = np.column_stack([order_probability(scores[question]) for question in QUESTIONS])
    horizons = np.array([float(question.horizon_days) for question in QUESTIONS])
    days = {name: days_until(chances, horizons, quantile) for name, quantile in QUANTILES.items()}
    customers = scores[CHURN]["customer_id"]
    return pa.table(
        {
            "run_id": pa.repeat(run_id, len(customers)),
            "customer_id": customers,
            **{name: pa.array(values, pa.float64(), mask=np.isnan(values)) for name, values in days.items()},
        },
        schema=NEXT_ORDERS.schema(),
    )
