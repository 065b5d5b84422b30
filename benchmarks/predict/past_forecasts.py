"""A shop as it was at a cutoff, and what came after: for benchmarks that forecast from the past as a run would."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from value_on_real_data import understood_at, with_churn

from patron.predict import scoring
from patron.predict.origins import at, known_at_origin, unlabelled
from patron.schema.models.questions import VALUE, Question
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

COMING = """
    select c.customer_id, coalesce(sum(l.paid_cents), 0)::double as value,
        (count(case when not l.is_refund then 1 end) = 0)::int::double as churn
    from customers c left join lines l on l.customer_id = c.customer_id
        and l.at >= {now} and l.at < {now} + interval {days} day
    group by c.customer_id"""


@dataclass(frozen=True)
class PastShop:
    """What a run of this cutoff knew, and what came in the 90 days after it."""

    view: StageView
    coming: dict[str, tuple[float, float]]
    """By customer: net paid, cents, and whether no order came."""

    @property
    def as_of(self) -> datetime:
        """The cutoff."""
        return self.view.run.as_of

    def known(self, question: Question) -> pa.Table:
        """What learners are fitted to: past cutoffs with the labels known by now, and today's customers without."""
        return known_at_origin(self.labelled(question), self.as_of, question.horizon_days)

    def labelled(self, question: Question) -> pa.Table:
        """Past cutoffs with the labels known by now, to backtest on."""
        features = self.with_churn if question is VALUE else scoring.read_features(self.view, "features")
        return scoring.rows_to_learn(self.view, question, features)

    @cached_property
    def with_churn(self) -> scoring.RunFeatures:
        """The run's features with the probability of an order that its churn forecasts, as values need it."""
        return with_churn(self.view)

    def actual(self, question: Question, here: pa.Table) -> np.ndarray:
        """What came of each row's customer: net paid, cents, or 1 where no order did."""
        place = 0 if question is VALUE else 1
        return np.array([self.coming[customer_id][place] for customer_id in here["customer_id"].to_pylist()])


def here(known: pa.Table) -> pa.Table:
    """Today's customers, unlabelled."""
    newest = max(known["as_of"].to_pylist())
    return unlabelled(at(known, newest))


def past_shop(source: str, as_of: datetime, workspace: Path) -> PastShop:
    """Of order lines in SQL (as `value_on_real_data` has them): a workspace with the features of one run."""
    view = understood_at(source, as_of, workspace)
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(
        f"create view lines as select md5(customer_id) as customer_id, timezone('UTC', local_time) as at, paid_cents,"
        f" is_refund from ({source})"
    )
    con.register("customers", view.query("select distinct customer_id from cutoffs"))
    rows = con.sql(COMING.format(now=timestamp(as_of), days=VALUE.horizon_days)).fetchall()
    return PastShop(view, {customer: (value, churn) for customer, value, churn in rows})
