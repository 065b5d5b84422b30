"""Rows that were made up or copied to balance the classes before the table was cut."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from patron.schema.models import metrics
from patron.schema.numbers import Numbers
from patron.tabular.audit.audited import Audited, Report, auc_text, percent
from patron.tabular.audit.similarity import information
from patron.tabular.columns import Index
from patron.tabular.encoding import Encoding

Mark = Callable[[Numbers, np.random.Generator], npt.NDArray[np.bool_]]
MAX_ROWS = 3_000
NEIGHBOURS = 60
"""So many that the two rows a row was made of are among them, though others were made near them."""
ON_A_LINE = 1e-4
"""How much longer than the line the way over a row may be, to lie on it."""
MIN_SHARE = {"between": 0.1, "copied": 0.2}
OTHER_SHARE = 0.25
"""Share of a class's rows that must be marked, and of that share what as many rows of the other class may have."""
MIN_WORTH = 1.5
"""Nats for each of the log of the rows that columns must say, for copies to be no accident."""
MAX_CLASS_SHARE = 0.7
"""A class with more of the rows was not enlarged."""
MIN_COLUMNS = 3
ROWS_AT_ONCE = 200


def find_resampling(audited: Audited) -> Report:
    """Report rows of one class that lie exactly between two others, or that are copies of one another."""
    rows = np.concatenate([audited.cut.training, audited.cut.judged])
    columns, label = audited.columns.take(rows), audited.label[rows]
    matrix = np.nan_to_num(Encoding.of(columns, label).matrix(columns))
    spread = matrix.std(axis=0)
    matrix = (matrix / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    if matrix.shape[1] < MIN_COLUMNS:
        return Report()
    rng = np.random.default_rng(audited.seed)
    for kind, mark in (("between", _mark_interpolations), ("copied", _mark_copies)):
        shares = _shares(matrix, label, mark, rng)
        rarer, other = sorted(shares, key=lambda value: -shares[value])
        is_marked_more = shares[rarer] >= MIN_SHARE[kind] and shares[other] <= OTHER_SHARE * shares[rarer]
        if not is_marked_more or (label == rarer).mean() > MAX_CLASS_SHARE:
            continue
        worth = sum(information(audited.columns, rows, rng, blur=0.0).values())
        if kind == "between" or worth >= MIN_WORTH * np.log(len(rows)):
            is_marked = np.zeros(len(rows), dtype=bool)
            is_marked[np.flatnonzero(label == rarer)[mark(matrix[label == rarer], rng)]] = True
            return Report((_sentence(audited, kind, rarer, shares, rows[is_marked]),))
    return Report()


def _shares(matrix: Numbers, label: Numbers, mark: Mark, rng: np.random.Generator) -> dict[float, float]:
    """Share of marked rows in each class, among as many rows of both: the more there are, the more are alike."""
    count = int(min(label.sum(), len(label) - label.sum(), MAX_ROWS))
    shares = {}
    for value in (0.0, 1.0):
        rows = np.flatnonzero(label == value)
        shares[value] = float(mark(matrix[rng.choice(rows, count, replace=False)], rng).mean())
    return shares


def _sentence(audited: Audited, kind: str, value: float, shares: dict[float, float], marked: Index) -> str:
    which = "positive" if value else "negative"
    what = (
        "lie exactly between two other rows, as rows that are made up by SMOTE do"
        if kind == "between"
        else "are copies of another row, as random oversampling leaves them"
    )
    share, other = shares[value], shares[1 - value]
    everything = auc_text(float(metrics.auc(audited.judged.label, audited.forecast)))
    training = np.setdiff1d(audited.cut.training, marked)
    real = np.flatnonzero(~np.isin(audited.cut.judged, marked))
    label = audited.judged.label[real]
    honest = ""
    if 0 < audited.label[training].sum() < len(training) and 0 < label.sum() < len(label):
        score = auc_text(float(metrics.auc(label, audited.with_training(training, audited.cut.judged[real]))))
        honest = f", and {score} without these rows"
    return (
        f"The classes were balanced before the table was cut: {percent(share)} of the {which} rows {what} "
        f"({percent(other)} of the others). Rows made from training rows are tested on: the {audited.judged_name} "
        f"AUC is {everything} with them{honest}. Compare on the table as it was collected; resample training rows only."
    )


def _mark_interpolations(rows: Numbers, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Whether each row lies on the line between two of its neighbours; of many rows some are looked at."""
    is_between: npt.NDArray[np.bool_] = np.zeros(len(rows), dtype=bool)
    looked_at = np.arange(len(rows))
    if len(rows) > MAX_ROWS:
        looked_at = np.sort(rng.choice(len(rows), MAX_ROWS, replace=False))
    distinct, first_places = np.unique(rows[looked_at], axis=0, return_index=True)
    if len(distinct) < 3 * NEIGHBOURS:
        return is_between
    neighbours = min(NEIGHBOURS, len(distinct) - 1)
    index = NearestNeighbors(n_neighbors=neighbours + 1, algorithm="brute").fit(distinct)
    places = index.kneighbors(distinct, return_distance=False)[:, 1:]
    marks = [_on_a_line(distinct, places, start) for start in range(0, len(distinct), ROWS_AT_ONCE)]
    is_on_a_line = np.concatenate(marks)
    is_between[looked_at[first_places]] = is_on_a_line
    return is_between


def _on_a_line(rows: Numbers, places: Index, start: int) -> npt.NDArray[np.bool_]:
    """Whether each of some rows lies between two of its neighbours that differ in several columns."""
    some = slice(start, start + ROWS_AT_ONCE)
    steps = rows[places[some]] - rows[some][:, None, :]
    products = steps @ steps.transpose(0, 2, 1)
    squares = np.diagonal(products, axis1=1, axis2=2)
    reach = np.sqrt(squares)
    line = np.sqrt(np.maximum(squares[:, :, None] + squares[:, None, :] - 2 * products, 0.0))
    is_near = (reach[:, :, None] + reach[:, None, :] <= (1 + ON_A_LINE) * line) & (line > 0)
    marks = np.zeros(len(steps), dtype=bool)
    for row, one, other in zip(*np.nonzero(np.triu(is_near)), strict=True):
        marks[row] |= int((np.abs(steps[row, one] - steps[row, other]) > 1e-9).sum()) >= MIN_COLUMNS
    return marks


def _mark_copies(rows: Numbers, rng: np.random.Generator) -> npt.NDArray[np.bool_]:  # noqa: ARG001 - as `_mark_interpolations`
    """Whether each row repeats an earlier one."""
    is_copy = np.ones(len(rows), dtype=bool)
    is_copy[np.unique(rows, axis=0, return_index=True)[1]] = False
    return is_copy
