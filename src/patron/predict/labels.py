"""What a question is: what is predicted, of whom, over how many days, and how a forecast is judged."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.learner import Learner
from patron.schema.metrics import Metric
from patron.schema.table_definition import TEXT, TIME

LABEL_JOIN = """
from label_windows m
left join {facts} l on l.customer_id = m.customer_id
    and l.ordered_at >= m.as_of and l.ordered_at < m.until and l.known_at < m.until
group by m.customer_id, m.as_of
"""


@dataclass(frozen=True)
class Question:
    """One thing to predict of each customer at a cutoff."""

    name: str
    meaning: str
    unit: str
    horizon_days: int
    label: str
    """SQL expression over the facts `l` of one (customer_id, as_of): order lines ordered in [as_of, as_of + horizon)
    and known by its end, refunds included; `l.customer_id is null` where there are none."""
    population: str
    """SQL condition over the columns of `features`: of whom the question is asked."""
    primary_metric: Metric
    """The champion is the best on this over all origins together, or one hardly behind it (see `tie_break`)."""
    metrics: tuple[Metric, ...]
    """Printed beside it, the most telling first."""
    learners: tuple[Learner, ...]
    """Every learner, baselines too; names unique."""
    is_probability: bool = False
    tie_break: Metric | None = None
    """What may make champion a learner that is hardly behind the best on the primary_metric, and not behind baselines."""

    @property
    def baselines(self) -> tuple[Learner, ...]:
        """The baselines every learner is compared with."""
        return tuple(one for one in self.learners if one.is_baseline)

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The primary_metric, then the others."""
        return (self.primary_metric, *self.metrics)


def label_query(question: Question, facts: str = "order_lines") -> str:
    """Portable SQL for the labels of `label_windows` (see `asked`): customer_id, as_of, label."""
    return f"select m.customer_id, m.as_of, {question.label} as label {LABEL_JOIN.format(facts=facts)}"


def asked(cutoffs: pa.Table, horizon_days: int) -> pa.Table:
    """Add to (customer_id, as_of) the end of the horizon, `until`: intervals are not portable SQL."""
    as_of = cutoffs["as_of"].cast(TIME)
    until = pc.add(as_of, pa.scalar(timedelta(days=horizon_days), pa.duration(TIME.unit)))
    return pa.table({"customer_id": cutoffs["customer_id"].cast(TEXT), "as_of": as_of, "until": until})


def training_cutoffs(cutoffs: Iterable[datetime], origin: datetime, horizon_days: int) -> list[datetime]:
    """Cutoffs whose labels are known by `origin`: no later than `origin - horizon`."""
    return sorted(one for one in set(cutoffs) if one + timedelta(days=horizon_days) <= origin)
