"""What a comparison found: the scores of all learners, which one to use, and what is wrong with the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from patron.estimators.bootstrap import Interval
from patron.schema.errors import BadComparison
from patron.schema.frames import table_without_index, to_kind
from patron.schema.numbers import Numbers
from patron.tabular.candidates import Model
from patron.tabular.columns import ColumnKinds
from patron.tabular.evaluation import JudgedPart, Part, ScoreRow
from patron.tabular.threshold import Payoff

CURVE_POINTS = 20


@dataclass(frozen=True, eq=False)
class Comparison:
    """Learners on one table, judged on rows they were not fitted to.

    `rows` are scores of each learner on train (the rows it was fitted to), validation (folds of the training rows,
    each judged by a model of the others; with a time, of earlier ones) and test. Accuracy is of the more probable
    class; balanced accuracy, precision, recall and F1 are at the learner's threshold; lift is that of the top tenth.
    """

    rows: tuple[ScoreRow, ...]
    preferred: str
    """The simplest learner within noise of the best on the validation rows."""
    best: str
    """The learner with the highest AUC on the validation rows."""
    threshold: float
    """The preferred learner's: from this probability on a row counts as positive."""
    findings: tuple[str, ...]
    """What is wrong with the table or the split; nothing where nothing is."""
    gaps: Mapping[str, Interval]
    """How much the validation AUC of each learner is below the best one's, paired row by row."""
    test_gap: Interval | None
    """How much the preferred learner's test AUC is below the best one's, paired."""
    ceiling: Interval | None
    """Test AUC of a model that has seen labels of the test rows' time (cross-validated inside the test rows)."""
    left_out: Mapping[str, str]
    """Columns that no learner saw, each with the reason."""
    row_counts: Mapping[Part, int]
    cut: str
    """How the test rows were chosen."""
    positive: str
    """The label that counts as positive."""
    label: str
    payoff: Payoff | None
    """What acting on a row brings and costs, if it was given."""
    kinds: ColumnKinds = field(repr=False)
    model: Model = field(repr=False)
    judged: Mapping[Part, tuple[JudgedPart, Mapping[str, Numbers]]] = field(repr=False)
    """The rows of each part, and their probabilities by learner."""
    frame_kind: str = field(default="arrow", repr=False)

    def predict(self, table: Any) -> Numbers:
        """P(positive) of each row by the preferred learner, fitted to train and validation. Raises BadComparison."""
        columns = self.kinds.read(table_without_index(table))
        with threadpool_limits(1):  # why: sums must not depend on the machine
            return self.model.predict(columns) if columns.row_count else np.zeros(0)

    def to_frame(self) -> Any:
        """The rows as the kind of frame that was compared: pandas, Polars or Arrow."""
        names = list(ScoreRow.__dataclass_fields__)
        return to_kind(pa.table({name: [getattr(row, name) for row in self.rows] for name in names}), self.frame_kind)

    @property
    def last_part(self) -> Part:
        """Test, or validation where nothing was tested."""
        return "test" if "test" in self.judged else "validation"

    def score(self, learner: str, metric: str, part: Part = "test") -> ScoreRow:
        """One row. Raises KeyError where there is none."""
        for row in self.rows:
            if (row.learner, row.metric, row.part) == (learner, metric, part):
                return row
        raise KeyError(f"no {metric} of {learner} on {part}")

    def profit(self, part: Part | None = None) -> Interval:
        """Cents that acting on the rows from the threshold on brings, on a part (default: test, if there is one).

        Raises BadComparison without a payoff.
        """
        judged, probabilities = self.judged[part or self.last_part]
        decided = (probabilities[self.preferred] >= self.threshold).astype(np.float64)
        each = self._payoff().profit(judged.label, decided)
        return judged.total(each)

    def profit_curve(self, part: Part | None = None) -> pa.Table:
        """Cents that acting on the most likely rows brings, for each twentieth of them, with 95 % intervals.

        Columns share_chosen, threshold, profit_cents, low, high. Raises BadComparison without a payoff.
        """
        judged, probabilities = self.judged[part or self.last_part]
        order = np.argsort(-probabilities[self.preferred], kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        each = self._payoff().profit(judged.label, np.ones(len(order)))
        ends = np.unique(np.linspace(0, len(order), CURVE_POINTS + 1).astype(int))[1:]
        points = [judged.total(np.where(place < end, each, 0.0)) for end in ends]
        return pa.table(
            {
                "share_chosen": ends / len(order),
                "threshold": probabilities[self.preferred][order][ends - 1],
                "profit_cents": [round(point.value) for point in points],
                "low": [round(point.low) for point in points],
                "high": [round(point.high) for point in points],
            }
        )

    def _payoff(self) -> Payoff:
        if self.payoff is None:
            raise BadComparison(
                "nothing is known of what acting brings", todo="Compare with gain_cents and cost_cents."
            )
        return self.payoff
