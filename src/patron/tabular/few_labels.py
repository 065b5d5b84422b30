"""Few labels: whether rows without one help, shown by a learning curve before anything is used.

Two ways are tried next to the labelled rows alone: self-training (the learner labels the rows that it is surest of and
learns from them too: Yarowsky 1995, scikit-learn's `SelfTrainingClassifier`) and points learned from the customers'
events without labels (`embeddings`). Of each number of labels several samples are drawn, all judged on the same test
rows; a way is used only where its gain at the most labels is above 0 with its interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.semi_supervised import SelfTrainingClassifier
from threadpoolctl import threadpool_limits

from patron.estimators.bootstrap import bootstrap_weights, percentile_interval
from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.frames import frame_kind, table_without_index, to_kind
from patron.schema.models import metrics
from patron.schema.numbers import Numbers
from patron.tabular.columns import ColumnKinds, Columns, Index
from patron.tabular.compare_learners import read_learners
from patron.tabular.compared_table import Roles, group_codes
from patron.tabular.embeddings import Embeddings, fit_embeddings
from patron.tabular.encoded_parts import EncodedSplit, encode
from patron.tabular.labels import read_label
from patron.tabular.learners import Classifier, Logistic
from patron.tabular.splits import Layout, Split, TimeOrder

LABELLED_ONLY = "labelled_only"
SELF_TRAINED = "self_trained"
WITH_EMBEDDINGS = "with_embeddings"
SIZES = (50, 100, 200, 400, 800)
SURE = 0.9
"""Probability from which on a row without a label counts as labelled."""
MAX_UNLABELLED = 20_000
RESAMPLES = 400
MIN_CLASS_ROWS = 5
MIN_TO_JUDGE = 20
"""Test rows of the rarer class."""


@dataclass(frozen=True)
class CurveRow:
    """One way with one number of labels: test AUC and its gain on the labelled rows alone, with 95 % intervals."""

    method: str
    label_count: int
    auc: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """How test AUC grows with the number of labels, with and without what has none."""

    rows: tuple[CurveRow, ...]
    method: str
    """The way to use: the one of the largest gain at the most labels, if it is above 0 with its interval."""
    model: "FewLabelModel" = field(repr=False)
    """`method`, fitted to every labelled row."""
    points: Embeddings | None = field(repr=False)
    """Where customers lie, if `method` needs it."""
    frame_kind: str = field(default="arrow", repr=False)

    def predict(self, table: Any, events: Any = None) -> Numbers:
        """P(positive) of each row by `method`; not calibrated. Raises BadComparison for a column that is missing."""
        rows = table_without_index(table)
        if self.points is not None:
            if events is None:
                raise BadComparison("the model learned from events", where="events", todo="Give the customers' events.")
            rows = with_points(rows, self.points.customer, self.points.table(events))
        return self.model.predict(rows)

    def to_frame(self) -> Any:
        """The rows as the kind of frame that was given: pandas, Polars or Arrow."""
        names = list(CurveRow.__dataclass_fields__)
        return to_kind(pa.table({name: [getattr(row, name) for row in self.rows] for name in names}), self.frame_kind)


def learning_curve(  # noqa: PLR0913 - one argument for each choice
    table: Any,
    *,
    label: str,
    time: str | None = None,
    customer: str | None = None,
    events: Any = None,
    event_time: str = "at",
    event_kind: str = "event",
    learner: str | Classifier = Logistic.name,
    sizes: Sequence[int] = SIZES,
    repeats: int = 5,
    test_share: float = 0.3,
    seed: int = 0,
    positive: Any = None,
) -> LearningCurve:
    """Show what rows without a label, and events, add to few labels.

    Args:
        table: One row per case; rows whose label is missing are what self-training may use, and so are labelled rows
            beyond the number that is drawn.
        label: Column with two values, or none where it is not known.
        time: Column to cut the test rows by: the latest are judged. At random without one.
        customer: Column of the customer, for `events`; not learned from, and never on both sides of the cut.
        events: One row per event of the customers: `customer`, `event_time`, `event_kind`. Only from before the labels'
            time: what happened later would give the outcome away.
        event_time: Column of `events` with its time.
        event_kind: Column of `events` with what happened.
        learner: Name of `LEARNERS`, or a learner.
        sizes: Numbers of labels; larger ones than there are labels are left out, and all labels are added.
        repeats: Samples of each number of labels.
        test_share: Share of the labelled rows that is judged on.
        seed: Of all that is random.
        positive: The label's text that counts as positive.

    Raises:
        BadComparison: A column or an argument cannot be used.
        NotEnoughData: There are too few labels.
    """
    arrow, roles = table_without_index(table), Roles(label, time, customer)
    if events is not None and customer is None:
        raise BadComparison("events need the customer of each row", where="customer", todo="Name the column.")
    roles.refuse_missing(arrow)
    outcome, is_known, _ = read_label(arrow[label], label, positive)
    if repeats < 2:
        raise BadComparison(f"{repeats} samples have no spread", where="repeats", todo="Give 2 or more.")
    (chosen,) = read_learners([learner])
    with threadpool_limits(1):  # why: sums must not depend on the machine
        tables, points = {LABELLED_ONLY: arrow, SELF_TRAINED: arrow}, None
        if events is not None and customer is not None:
            points = fit_embeddings(events, customer=customer, time=event_time, kind=event_kind, seed=seed)
            tables[WITH_EMBEDDINGS] = with_points(arrow, customer, points.table(events))
        few = _FewLabels.of(tables, roles, outcome, is_known, chosen, seed=seed)
        rows = few.curve(sizes, repeats, test_share)
        method = _best(rows)
        model = few.model(method)
    return LearningCurve(
        rows, method, model=model, points=points if method == WITH_EMBEDDINGS else None, frame_kind=frame_kind(table)
    )


@dataclass(frozen=True, eq=False)
class FewLabelModel:
    """A fitted learner with the encoding of its columns."""

    fitted: Any
    encoded: EncodedSplit
    kinds: ColumnKinds

    def predict(self, table: pa.Table) -> Numbers:
        """P(positive) of each row. Raises BadComparison."""
        columns = self.kinds.read(table)
        with threadpool_limits(1):  # why: sums must not depend on the machine
            return _probability(self.fitted, self.encoded.matrix(columns)) if columns.row_count else np.zeros(0)


def with_points(table: pa.Table, customer: str, points: pa.Table) -> pa.Table:
    """The table with the columns of its customers' points; missing where a customer has no events."""
    place = {one: at for at, one in enumerate(points[customer].to_pylist())}
    at = pa.array([place.get(one) for one in table[customer].to_pylist()], pa.int64())
    for name in points.column_names:
        if name != customer:
            table = table.append_column(name, points[name].take(at))
    return table


@dataclass(frozen=True, eq=False)
class _FewLabels:
    """A table whose labels are partly known, as each way sees it."""

    label: Numbers
    known: Index
    unknown: Index
    """Rows with a label, and without."""
    layout: Layout
    columns: Mapping[str, Columns]
    """By way."""
    kinds: Mapping[str, ColumnKinds]
    learner: Classifier
    seed: int

    @classmethod
    def of(
        cls,
        tables: Mapping[str, pa.Table],
        roles: Roles,
        label: Numbers,
        is_known: Any,
        learner: Classifier,
        *,
        seed: int,
    ) -> "_FewLabels":
        """Read the columns, and what cuts must respect."""
        table = tables[LABELLED_ONLY]
        time = None if roles.time is None else TimeOrder.of(table[roles.time], roles.time)
        groups = None if roles.group is None else group_codes(table[roles.group], roles.group)
        kinds = {way: ColumnKinds.of(one, roles.names) for way, one in tables.items()}
        columns = {way: kinds[way].read(one) for way, one in tables.items()}
        known, unknown = np.flatnonzero(is_known), np.flatnonzero(~is_known)
        return cls(label, known, unknown, Layout(label, time, groups, seed), columns, kinds, learner, seed)

    def curve(self, sizes: Sequence[int], repeats: int, test_share: float) -> tuple[CurveRow, ...]:
        """Draw labels, fit each way to them, judge all on the same rows. Raises NotEnoughData."""
        split = self.layout.cut(self.known, test_share)
        judged = self.label[split.judged]
        if min(judged.sum(), (1 - judged).sum()) < MIN_TO_JUDGE:
            what = f"fewer than {MIN_TO_JUDGE} test rows are of the rarer class"
            raise NotEnoughData(what, where="test_share", todo="Give more labelled rows.")
        rng = np.random.default_rng(self.seed)
        groups = self.layout.groups
        units = np.arange(len(judged)) if groups is None else groups[split.judged]
        weights = bootstrap_weights(units, rng=rng, resamples=RESAMPLES)
        picks = rng.integers(0, repeats, size=(RESAMPLES, repeats))
        most = len(split.training)
        rows: list[CurveRow] = []
        for size in sorted({*(size for size in sizes if size < most), most}):
            aucs = {way: np.empty((repeats, RESAMPLES + 1)) for way in self.columns}
            for repeat in range(repeats):
                drawn = self._draw(split.training, size, rng)
                rest = np.concatenate([np.setdiff1d(split.training, drawn), self.unknown])
                for way, values in aucs.items():
                    forecast = self._forecast(way, drawn, rest, split.judged)
                    values[repeat, 0] = metrics.AUC.of(judged, forecast)
                    values[repeat, 1:] = metrics.AUC.of(judged, forecast, weights)
            rows += [_curve_row(way, size, values, aucs[LABELLED_ONLY], picks) for way, values in aucs.items()]
        return tuple(rows)

    def model(self, way: str) -> FewLabelModel:
        """The way, fitted to every labelled row."""
        encoded, rest_count = self._encode(way, self.known, self.unknown, self.known[:0])
        return FewLabelModel(self._fit(way, encoded, rest_count), encoded, self.kinds[way])

    def _draw(self, rows: Index, size: int, rng: np.random.Generator) -> Index:
        """Some of the rows, each class by its share, and a few of the rarer at least. Raises NotEnoughData."""
        positive, negative = (rows[self.label[rows] == one] for one in (1.0, 0.0))
        if min(len(positive), len(negative)) < MIN_CLASS_ROWS:
            what = f"fewer than {MIN_CLASS_ROWS} labelled rows to learn from are of the rarer class"
            raise NotEnoughData(what, todo="Give more labelled rows.")
        share = round(size * len(positive) / len(rows))
        of_positive = int(np.clip(share, MIN_CLASS_ROWS, max(size - MIN_CLASS_ROWS, MIN_CLASS_ROWS)))
        of_positive = min(of_positive, len(positive))
        chosen = (
            rng.choice(one, min(count, len(one)), replace=False)
            for one, count in ((positive, of_positive), (negative, max(size - of_positive, MIN_CLASS_ROWS)))
        )
        return np.sort(np.concatenate(list(chosen)))

    def _forecast(self, way: str, drawn: Index, rest: Index, judged: Index) -> Numbers:
        encoded, rest_count = self._encode(way, drawn, rest, judged)
        fitted = self._fit(way, encoded, rest_count)
        return _probability(fitted, encoded.judged[rest_count:])

    def _encode(self, way: str, drawn: Index, rest: Index, judged: Index) -> tuple[EncodedSplit, int]:
        """The drawn rows, then unlabelled and judged ones as columns chosen from the drawn rows, and how many."""
        rest = rest[:: max(1, -(-len(rest) // MAX_UNLABELLED))] if way == SELF_TRAINED else rest[:0]
        split = Split(drawn, np.concatenate([rest, judged]))
        return encode(self.columns[way], self.label, split, seed=self.seed), len(rest)

    def _fit(self, way: str, encoded: EncodedSplit, rest_count: int) -> Any:
        base = _Estimator(self.learner, encoded.encoding.sources, self.seed)
        if way != SELF_TRAINED or not rest_count:
            return base.fit(encoded.training, encoded.training_label)
        matrix = np.concatenate([encoded.training, encoded.judged[:rest_count]])
        label = np.concatenate([encoded.training_label, np.full(rest_count, -1.0)])
        return SelfTrainingClassifier(base, threshold=SURE).fit(matrix, label)


class _Estimator(ClassifierMixin, BaseEstimator):
    """A learner as scikit-learn calls it."""

    def __init__(self, learner: Classifier, sources: Sequence[str], seed: int) -> None:
        self.learner = learner
        self.sources = sources
        self.seed = seed

    def fit(self, matrix: Numbers, label: Numbers) -> "_Estimator":
        """Fit to rows and their labels, 0 or 1."""
        self.classes_ = np.array([0.0, 1.0])
        self.fitted_ = self.learner.fit(matrix, label, sources=self.sources, seed=self.seed)
        return self

    def predict_proba(self, matrix: Numbers) -> Numbers:
        """Probability of each class."""
        positive = self.fitted_.predict(matrix)
        return np.column_stack([1 - positive, positive])


def _probability(fitted: Any, matrix: Numbers) -> Numbers:
    return fitted.predict_proba(matrix)[:, 1]


def _best(rows: Sequence[CurveRow]) -> str:
    most = max(row.label_count for row in rows)
    better = [row for row in rows if row.label_count == most and row.gain_low > 0]
    return max(better, key=lambda row: row.gain).method if better else LABELLED_ONLY


def _curve_row(way: str, size: int, values: Numbers, alone: Numbers, picks: Any) -> CurveRow:
    """Mean over the samples; the interval resamples test rows and samples of labels."""
    resamples = np.arange(RESAMPLES)[:, None] + 1
    auc, gain = (
        percentile_interval(float(each[:, 0].mean()), each[picks, resamples].mean(axis=1))
        for each in (values, values - alone)
    )
    return CurveRow(
        way, size, auc=auc.value, low=auc.low, high=auc.high, gain=gain.value, gain_low=gain.low, gain_high=gain.high
    )
