"""Identifiers on both sides of the cut: a model that knows the customer need not understand anything."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.models import metrics
from patron.tabular.audit.audited import Audited, Report, auc_text, percent
from patron.tabular.audit.similarity import information, shared_information
from patron.tabular.columns import (
    ID_SHARE,
    MIN_IDS,
    distinct_count,
    is_place_or_thing,
    is_text,
    looks_like_id,
    value_codes,
)

MIN_VALUES = 20
UNNAMED_VALUES_SHARE, MAX_VALUE_SHARE = 0.05, 0.02
"""Without a name that says so, an identifier has at least this many values for its rows, and no value more rows."""
MIN_REPEATS = 1.15
"""Rows of a value, on average."""
MIN_ON_BOTH = 0.05
"""Share of the test rows whose value is among the training rows, too."""
MAX_TRIED = 4
PAIRS = 2_000
MORE_ALIKE = 0.15
"""How much more of their information rows of one value share, if they are rows of one person and not of one city."""
MIN_HARM = 0.02
"""AUC that knowing the values must be worth where the column's name does not say that it identifies."""


def find_repeated_ids(audited: Audited) -> Report:
    """Name each identifier on both sides of the cut, with the AUC of models that never saw the tested values."""
    if audited.compared.roles.group is not None:
        return Report()
    findings: dict[str, str] = {}
    for name, codes in list(_candidates(audited).items())[:MAX_TRIED]:
        training, judged = codes[audited.cut.training], codes[audited.cut.judged]
        is_known = np.isin(judged, training)
        if is_known.mean() < MIN_ON_BOTH:
            continue
        harm = _harm(audited, codes)
        if harm is None:
            continue
        known, unknown, low = harm
        is_harmful = low > 0 and known - unknown >= MIN_HARM
        is_named = looks_like_id(name)
        if (is_harmful and (is_named or _are_alike(audited, name, codes))) or (is_named and audited.time is None):
            findings[name] = _sentence(audited, name, float(is_known.mean()), known, unknown)
    return Report(tuple(findings.values()), columns=frozenset(findings))


def _sentence(audited: Audited, name: str, share: float, known: float, unknown: float) -> str:
    where = audited.judged_name
    todo = f"If the model will meet new ones, compare with group={name!r}."
    return (
        f"`{name}` is on both sides of the cut: {percent(share)} of the {where} rows share its value with a training "
        f"row. The {where} AUC is {auc_text(known)} for values that the model has met, and {auc_text(unknown)} when "
        f"the same rows' values are kept out of the training rows. {todo}"
    )


def _candidates(audited: Audited) -> dict[str, npt.NDArray[np.int64]]:
    """Columns of texts or whole numbers whose values repeat as those of identifiers do; those called an id first."""
    rows = audited.compared.table.num_rows
    repeated = {}
    for name in audited.compared.table.column_names:
        column = audited.compared.table[name]
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not _is_key(name, column, kind) or name in {audited.compared.roles.time, audited.compared.roles.group}:
            continue
        distinct = distinct_count(column.cast(kind))
        if distinct < MIN_VALUES or rows < MIN_REPEATS * distinct:
            continue
        codes, _ = value_codes(column)
        codes = np.where(codes < 0, distinct + np.arange(rows), codes)
        is_id = looks_like_id(name) and not is_place_or_thing(name) and distinct > max(MIN_IDS, ID_SHARE * rows)
        is_unnamed = not is_place_or_thing(name) and distinct >= UNNAMED_VALUES_SHARE * rows
        is_even = np.bincount(codes).max() <= max(MAX_VALUE_SHARE * rows, 2)
        if is_id or (is_unnamed and is_even):
            repeated[name] = codes
    order = sorted(repeated, key=lambda name: (not looks_like_id(name), -len(np.unique(repeated[name]))))
    return {name: repeated[name] for name in order}


def _is_key(name: str, column: pa.ChunkedArray, kind: pa.DataType) -> bool:
    """Whether values can be keys: texts or whole numbers, which pandas keeps as floats where some are missing."""
    if pa.types.is_floating(kind):
        return looks_like_id(name) and bool(pc.all(pc.equal(pc.floor(column), column)).as_py())
    return is_text(kind) or pa.types.is_integer(kind)


def _harm(audited: Audited, codes: npt.NDArray[np.int64]) -> tuple[float, float, float] | None:
    """AUC on the same rows of a model that met their values, and of one that did not; None where too little is left.

    The tested values are halved: one model lacks the rows of the first half, the other those of the second, and both
    are judged on the first. Of a quantity, one learns as much from values nearby; of an identifier, one does not.
    """
    rng = np.random.default_rng(audited.seed)
    training, judged = audited.cut.training, audited.cut.judged
    both = np.intersect1d(codes[training], codes[judged])
    shuffled = rng.permutation(both)
    first, second = np.array_split(shuffled, 2)
    chosen = np.flatnonzero(np.isin(codes[judged], first))
    without = training[~np.isin(codes[training], first)]
    met = training[~np.isin(codes[training], second)]
    label = audited.judged.label[chosen]
    enough = [label, audited.label[without], audited.label[met]]
    if any(min(one.sum(), len(one) - one.sum()) < 5 for one in enough):
        return None
    rows = judged[chosen]
    known, unknown = (audited.with_training(side, rows) for side in (met, without))
    part = audited.judged_rows(chosen)
    gain = part.gain(metrics.AUC, known, unknown)
    return float(metrics.auc(label, known)), float(metrics.auc(label, unknown)), gain.low


def _are_alike(audited: Audited, name: str, codes: npt.NDArray[np.int64]) -> bool:
    """Whether rows of one value are alike in the other columns, as those of one person are."""
    rng = np.random.default_rng(audited.seed)
    others = audited.columns.select(set(audited.columns.names) - {name})
    order = np.argsort(codes, kind="stable")
    places = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    if not len(places):
        return False
    places = rng.choice(places, PAIRS)
    every = np.arange(len(codes))
    worth = information(others, every, rng)
    same = shared_information(others, order[places], order[places + 1], worth, every)
    random = shared_information(others, rng.choice(every, PAIRS), rng.choice(every, PAIRS), worth, every)
    return float(same.mean() - random.mean()) >= MORE_ALIKE
