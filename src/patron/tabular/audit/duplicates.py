"""Test rows that are in the training rows, too: exactly, or with a few values changed or blurred."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from patron.schema.models import metrics
from patron.tabular.audit.audited import Audited, Report, auc_text, percent
from patron.tabular.audit.similarity import information, shared_information
from patron.tabular.columns import Columns, Index

TWIN = 0.8
"""Twins have at least this share of what a row says in common."""
MAX_SCREENED = 600
MAX_JUDGED = 3_000
MAX_TRAINING = 20_000
MIN_TWINS = 5
MIN_SHARE = 0.025
MIN_EXACT_SHARE = 0.01
NEIGHBOURS = 10
APART = 0.3
"""How much less a twin has in common with the tenth most similar row; rows alike by nature have many like them."""
SAME_LABEL = 0.6
"""Cohen's kappa of the labels of twins: a copy keeps its label, a similar row need not."""
MAX_CELLS = 4_000_000


def find_duplicates(audited: Audited) -> Report:
    """Count the test rows with a twin among the training rows, and print the AUC on the others.

    Rows are alike by nature where columns are few or coarse, but then a row is like many others, or like one with
    another label. Only a row that is like one or a few rows, unlike the tenth, and of the same label is a copy; or one
    that is identical where columns say too much for that to happen by chance.
    """
    rng = np.random.default_rng(audited.seed)
    training = _some(audited.cut.training, MAX_TRAINING, rng)
    if len(training) < 2 * NEIGHBOURS:
        return Report()
    is_copy = _are_copies(audited.columns, audited.cut.judged, audited.cut.training)
    exact_worth = sum(information(audited.columns, training, rng, blur=0.0).values())
    has_copies = is_copy.mean() >= MIN_EXACT_SHARE and exact_worth >= 2 * np.log(len(training))
    worth = information(audited.columns, training, rng)
    screened = _some(np.arange(len(is_copy)), MAX_SCREENED, rng)
    twins = _nearest(audited.columns, audited.cut.judged[screened], training, worth)
    if not has_copies and not _keep_their_label(audited, screened, twins):
        return Report()
    looked_at = _some(np.arange(len(is_copy)), MAX_JUDGED, rng)
    is_twin = _nearest(audited.columns, audited.cut.judged[looked_at], training, worth) >= 0
    is_twin |= is_copy[looked_at]
    if is_twin.sum() < MIN_TWINS:
        return Report()
    return Report((_sentence(audited, looked_at, is_twin, is_copy[looked_at]),))


def _keep_their_label(audited: Audited, screened: Index, twins: Index) -> bool:
    """Whether there are enough twins, and nearly all have the label of their twin."""
    places = np.flatnonzero(twins >= 0)
    if len(places) < max(MIN_TWINS, MIN_SHARE * len(screened)):
        return False
    label, other = audited.judged.label[screened[places]], audited.label[twins[places]]
    by_chance = label.mean() * other.mean() + (1 - label.mean()) * (1 - other.mean())
    return float((label == other).mean() - by_chance) >= SAME_LABEL * (1 - by_chance)


def _sentence(audited: Audited, rows: Index, is_twin: npt.NDArray[np.bool_], is_copy: npt.NDArray[np.bool_]) -> str:
    where = audited.judged_name
    label = audited.judged.label[rows]
    forecast = audited.forecast[rows]
    others = np.flatnonzero(~is_twin)
    count = int(is_twin.sum())
    share = float(is_twin.mean())
    exact = int(is_copy.sum())
    how = f"{exact:,} of them identical" if exact else "none of them identical, but nearly so"
    score = ""
    if len(others) and 0 < label[others].sum() < len(others):
        everything = auc_text(float(metrics.auc(label, forecast)))
        honest = auc_text(float(metrics.auc(label[others], forecast[others])))
        score = f" The {where} AUC is {everything} with them and {honest} on the other rows."
    least = "At least " if len(audited.cut.training) > MAX_TRAINING else ""
    facts = (
        f"{least}{count:,} of {len(rows):,} {where} rows ({percent(share)}) have a twin among the training rows, {how}."
    )
    return f"{facts}{score} Remove duplicates before the table is cut."


def _nearest(columns: Columns, judged: Index, training: Index, worth: Mapping[str, float]) -> Index:
    """The training row that each judged row is a twin of; -1 for one without."""
    twins = np.full(len(judged), -1, dtype=np.intp)
    at_once = max(1, MAX_CELLS // len(training))
    for start in range(0, len(judged), at_once):
        some = judged[start : start + at_once]
        shared = shared_information(columns, some[:, None], training[None, :], worth, training)
        tenth = np.partition(shared, len(training) - NEIGHBOURS, axis=1)[:, len(training) - NEIGHBOURS]
        place = shared.argmax(axis=1)
        best = shared[np.arange(len(some)), place]
        twins[start : start + at_once] = np.where((best >= TWIN) & (best - tenth >= APART), training[place], -1)
    return twins


def _are_copies(columns: Columns, judged: Index, training: Index) -> npt.NDArray[np.bool_]:
    """Whether each judged row is the same as a training row in every column."""
    parts = [*columns.numbers.values(), *(text.codes for text in columns.texts.values())]
    rows = np.ascontiguousarray(np.column_stack([np.nan_to_num(part.astype(np.float64), nan=-1e300) for part in parts]))
    known = {row.tobytes() for row in rows[training]}
    return np.array([row.tobytes() in known for row in rows[judged]], dtype=bool)


def _some(rows: Index, most: int, rng: np.random.Generator) -> Index:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
