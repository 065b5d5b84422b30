"""Rows that were made up or copied to balance the classes before the table was cut."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from patron.schema import metrics
from patron.schema.numbers import Numbers
from patron.tabular.audit.audited import Audited, Report, auc_text, percent
from patron.tabular.columns import Index
from patron.tabular.encoding import Encoding

MOST_ROWS = 3_000
NEIGHBOURS = 12
ON_A_LINE = 1e-4
"""How much longer than the line the way over a row may be, to lie on it."""
LEAST_SHARE, OTHER_SHARE = 0.1, 0.25
"""Share of a class's rows that must be made up, and of that share what the other class may have."""
FEWEST_COLUMNS = 3


def find_resampling(audited: Audited) -> Report:
    """Report rows of one class that lie exactly between two others, or that are copies of one another."""
    rows = np.concatenate([audited.cut.training, audited.cut.judged])
    columns, label = audited.columns.take(rows), audited.label[rows]
    matrix = np.nan_to_num(Encoding.of(columns, label).matrix(columns))
    spread = matrix.std(axis=0)
    matrix = (matrix / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    if matrix.shape[1] < FEWEST_COLUMNS:
        return Report()
    rng = np.random.default_rng(audited.seed)
    for kind, mark in (("between", _interpolated), ("copied", _copied)):
        marks = {value: mark(matrix[label == value], rng) for value in (0.0, 1.0)}
        shares = {value: float(one.mean()) for value, one in marks.items()}
        rarer, other = sorted(shares, key=lambda value: -shares[value])
        if shares[rarer] >= LEAST_SHARE and shares[other] <= OTHER_SHARE * shares[rarer]:
            is_marked = np.zeros(len(rows), dtype=bool)
            is_marked[np.flatnonzero(label == rarer)[marks[rarer]]] = True
            return Report((_sentence(audited, kind, rarer, shares, rows[is_marked]),))
    return Report()


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


def _interpolated(rows: Numbers, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Whether each row lies on the line between two of its neighbours; of many rows some are looked at."""
    is_between: npt.NDArray[np.bool_] = np.zeros(len(rows), dtype=bool)
    looked_at = np.arange(len(rows))
    if len(rows) > MOST_ROWS:
        looked_at = np.sort(rng.choice(len(rows), MOST_ROWS, replace=False))
    distinct, first_places = np.unique(rows[looked_at], axis=0, return_index=True)
    if len(distinct) < 3 * NEIGHBOURS:
        return is_between
    index = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, algorithm="brute").fit(distinct)
    around = distinct[index.kneighbors(distinct, return_distance=False)[:, 1:]]
    reach = np.linalg.norm(around - distinct[:, None, :], axis=2)
    is_on_a_line: npt.NDArray[np.bool_] = np.zeros(len(distinct), dtype=bool)
    for one, other in combinations(range(NEIGHBOURS), 2):
        gap = np.abs(around[:, one] - around[:, other])
        line, way = np.linalg.norm(gap, axis=1), reach[:, one] + reach[:, other]
        is_on_a_line |= (way <= (1 + ON_A_LINE) * line) & (line > 0) & ((gap > 1e-9).sum(axis=1) >= FEWEST_COLUMNS)
    is_between[looked_at[first_places]] = is_on_a_line
    return is_between


def _copied(rows: Numbers, rng: np.random.Generator) -> npt.NDArray[np.bool_]:  # noqa: ARG001 - as `_interpolated`
    """Whether each row repeats an earlier one."""
    is_copy = np.ones(len(rows), dtype=bool)
    is_copy[np.unique(rows, axis=0, return_index=True)[1]] = False
    return is_copy
