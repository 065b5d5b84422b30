"""Test rows that are in the training rows, too: exactly, or with a few values changed or blurred."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from patron.schema import metrics
from patron.tabular.audit.audited import Audited, Report, auc_text, percent
from patron.tabular.audit.similarity import information, shared_information
from patron.tabular.columns import Columns, Index

TWIN = 0.8
"""Twins have at least this share of what a row says in common."""
MOST_SCREENED, MOST_TRAINING = 600, 20_000
FEWEST_TWINS, FEWEST_SHARE = 5, 0.01
NEIGHBOURS = 10
APART = 0.3
"""How much less a twin has in common with the tenth most similar row; rows alike by nature have many like them."""
MOST_CELLS = 4_000_000


def find_duplicates(audited: Audited) -> Report:
    """Count the test rows with a twin among the training rows, and print the AUC on the others.

    Rows are alike by nature where columns are few or coarse, but then a row is like many others. Only a row that is
    like one or a few rows and unlike the tenth is a copy.
    """
    rng = np.random.default_rng(audited.seed)
    training = _some(audited.cut.training, MOST_TRAINING, rng)
    screened = _some(np.arange(len(audited.cut.judged)), MOST_SCREENED, rng)
    worth = information(audited.columns, audited.cut.training, rng)
    if len(training) < 2 * NEIGHBOURS or sum(worth.values()) < 2 * np.log(len(training)):
        return Report()
    is_twin = _have_twins(audited.columns, audited.cut.judged[screened], training, worth)
    if is_twin.sum() < max(FEWEST_TWINS, FEWEST_SHARE * len(screened)):
        return Report()
    is_twin = _have_twins(audited.columns, audited.cut.judged, training, worth)
    return Report((_sentence(audited, is_twin),))


def _sentence(audited: Audited, is_twin: npt.NDArray[np.bool_]) -> str:
    where, label = audited.judged_name, audited.judged.label
    others = np.flatnonzero(~is_twin)
    count, share = int(is_twin.sum()), float(is_twin.mean())
    exact = int((is_twin & _are_copies(audited.columns, audited.cut.judged, audited.cut.training)).sum())
    how = f"{exact:,} of them identical" if exact else "none of them identical, but nearly so"
    score = ""
    if len(others) and 0 < label[others].sum() < len(others):
        everything = auc_text(float(metrics.auc(label, audited.forecast)))
        honest = auc_text(float(metrics.auc(label[others], audited.forecast[others])))
        score = f" The {where} AUC is {everything} with them and {honest} on the other rows."
    facts = f"{count:,} of {len(is_twin):,} {where} rows ({percent(share)}) have a twin among the training rows, {how}."
    return f"{facts}{score} Remove duplicates before the table is cut."


def _have_twins(columns: Columns, judged: Index, training: Index, worth: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """Whether each judged row has a twin among the training rows."""
    is_twin = np.zeros(len(judged), dtype=bool)
    at_once = max(1, MOST_CELLS // len(training))
    for start in range(0, len(judged), at_once):
        some = judged[start : start + at_once]
        shared = shared_information(columns, some[:, None], training[None, :], worth, training)
        nearest = np.partition(shared, len(training) - NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
        best, tenth = nearest.max(axis=1), nearest.min(axis=1)
        is_twin[start : start + at_once] = (best >= TWIN) & (best - tenth >= APART)
    return is_twin


def _are_copies(columns: Columns, judged: Index, training: Index) -> npt.NDArray[np.bool_]:
    """Whether each judged row is the same as a training row in every column."""
    parts = [*columns.numbers.values(), *(text.codes for text in columns.texts.values())]
    rows = np.ascontiguousarray(np.column_stack([np.nan_to_num(part.astype(np.float64), nan=-1e300) for part in parts]))
    known = {row.tobytes() for row in rows[training]}
    return np.array([row.tobytes() in known for row in rows[judged]], dtype=bool)


def _some(rows: Index, most: int, rng: np.random.Generator) -> Index:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
