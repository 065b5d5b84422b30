"""Fit discrete-time hazards to a row for each customer, or to a row for each customer and period."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers
from patron.tabular.columns import ColumnKinds, Columns, Index
from patron.tabular.encoding import Encoding
from patron.tabular.hazards.fitted_hazards import FittedHazards
from patron.tabular.hazards.hazard_logistic import HazardLogistic
from patron.tabular.hazards.hazard_model import HazardModel, LifeTableHazards
from patron.tabular.hazards.hazard_trees import HazardTrees
from patron.tabular.hazards.life_table import LifeTable
from patron.tabular.hazards.observed_lifetimes import HazardRoles, Lifetimes
from patron.tabular.hazards.person_periods import (
    SAMPLE_LIMIT,
    PersonPeriods,
    customer_hashes,
    draw,
    expand,
    lifetimes_of,
    read_person_periods,
)

HazardLearner = Literal["lightgbm", "logistic", "baseline"] | HazardTrees | HazardLogistic
LEARNERS = {one.name: one for one in (HazardTrees(), HazardLogistic())}
SUSPICIOUS = 0.7
"""Rank correlation with the time observed, among customers who have not left, from which a column is named."""


def fit_hazards(  # noqa: PLR0913 - each is a choice of the caller
    table: Any,
    *,
    duration: str,
    event: str,
    features: Sequence[str] | None = None,
    period: float = 1,
    start: str | None = None,
    id: str | None = None,  # noqa: A002 - what the column is
    learner: HazardLearner = "lightgbm",
    sample_limit: int = SAMPLE_LIMIT,
    seed: int = 0,
) -> FittedHazards:
    """Fit hazards to a table with a row for each customer: how long observed, and whether the customer left.

    `event` is 1 for a customer who left at `duration`, 0 for one who was still active then. `period` is the length of a
    period in the unit of `duration`; `start` is the time at which a customer came under observation (delayed entry).
    `features` are columns as they were then: by default all but these. With `start`, a customer may have several rows,
    one for each time at which features were taken (landmarks), with the same `id`; how many periods ago they were
    taken counts, too. More person-periods than `sample_limit` are sampled and weighted. The learner "baseline" is the
    life table. Raises BadComparison, NotEnoughData.
    """
    read = table_without_index(table)
    roles = HazardRoles(event, duration=duration, start=start, id=id, period_length=float(period))
    lifetimes = Lifetimes.of(read, roles)
    lifetimes.refuse_without_events(event)
    counts = {
        "customers": len(lifetimes.rows),
        "events": int(lifetimes.is_event.sum()),
        "person_periods": int(lifetimes.period_counts.sum()),
    }
    rows = expand(lifetimes, customer_hashes(read, id), limit=_checked(sample_limit), seed=seed)
    notes = (*lifetimes.notes, *_suspicions(read, roles, lifetimes, features))
    return _fit(
        read, roles, LifeTable.of(lifetimes), rows, counts, notes=notes, features=features, learner=learner, seed=seed
    )


def fit_person_periods(  # noqa: PLR0913 - each is a choice of the caller
    table: Any,
    *,
    id: str,  # noqa: A002 - what the column is
    period: str,
    event: str,
    features: Sequence[str] | None = None,
    learner: HazardLearner = "lightgbm",
    sample_limit: int = SAMPLE_LIMIT,
    seed: int = 0,
) -> FittedHazards:
    """Fit hazards to a table with a row for each customer and period, whose features may change over time.

    `period` numbers the periods since a customer began, 1 the first; `event` is 1 where the customer left in it. The
    features of a row must be known when its period begins. Periods without a row were not observed. Made for the next
    period: forecasts of later ones hold the features as they are. For those, give `fit_hazards` landmarks. Raises
    BadComparison, NotEnoughData.
    """
    read = table_without_index(table)
    roles = HazardRoles(event, period=period, id=id)
    rows = read_person_periods(read, roles)
    lifetimes, _ = lifetimes_of(rows)
    lifetimes.refuse_without_events(event)
    counts = {
        "customers": len(lifetimes.rows),
        "events": int(lifetimes.is_event.sum()),
        "person_periods": len(rows.rows),
    }
    drawn = draw(rows, limit=_checked(sample_limit), seed=seed)
    return _fit(
        read, roles, LifeTable.of_rows(rows), drawn, counts, notes=(), features=features, learner=learner, seed=seed
    )


def _fit(  # noqa: PLR0913 - what both kinds of tables come to
    table: pa.Table,
    roles: HazardRoles,
    life_table: LifeTable,
    rows: PersonPeriods,
    counts: dict[str, int],
    *,
    notes: tuple[str, ...],
    features: Sequence[str] | None,
    learner: HazardLearner,
    seed: int,
) -> FittedHazards:
    settings = learner if isinstance(learner, HazardTrees | HazardLogistic) else LEARNERS.get(learner)
    if settings is None and learner != LifeTableHazards.kind:
        known = ", ".join([*LEARNERS, LifeTableHazards.kind])
        raise BadComparison(f"{learner!r} is not a learner", where="learner", todo=f"Give one of {known}.")
    counts = {**counts, "drawn": len(rows.rows)}
    if settings is None:
        nothing = ColumnKinds({}, {}), Encoding((), (), {})
        return FittedHazards(roles, LifeTableHazards(life_table), life_table, counts, notes, *nothing)
    used, places = np.unique(rows.rows, return_inverse=True)
    kept = table if len(used) == table.num_rows else table.take(pa.array(used))
    rows = replace(rows, rows=places.astype(np.intp))
    kinds = _kinds(kept, roles, features)
    columns = kinds.read(kept)
    encoding, matrix = _encode(columns, rows, life_table, seed)
    model: HazardModel = settings.fit(
        matrix.astype(np.float32), rows, life_table, has_landmarks=roles.has_landmarks, seed=seed
    )
    return FittedHazards(
        roles, model, life_table=life_table, counts=counts, notes=notes, kinds=kinds, encoding=encoding
    )


def _encode(columns: Columns, rows: PersonPeriods, life_table: LifeTable, seed: int) -> tuple[Encoding, Numbers]:
    """Where levels are many, each stands as the events beyond the life table's of its customers, and of other ones."""
    sums = np.bincount(rows.rows, life_table.excess(rows), minlength=columns.row_count)
    excess = sums.astype(np.float64)
    encoding = Encoding.of(columns, excess)
    if not encoding.level_means:
        return encoding, encoding.matrix(columns)
    units: Index = np.zeros(columns.row_count, dtype=np.intp)
    units[rows.rows] = np.unique(rows.units, return_inverse=True)[1]
    return encoding, encoding.training_matrix(columns, excess, units, rng=np.random.default_rng(seed))


def _kinds(table: pa.Table, roles: HazardRoles, features: Sequence[str] | None) -> ColumnKinds:
    if features is None:
        return ColumnKinds.of(table, roles.names)
    missing = [name for name in features if name not in table.column_names]
    if missing:
        todo = f"The table has {', '.join(table.column_names[:20])}."
        raise BadComparison(f"there is no column {', '.join(missing)}", where="features", todo=todo)
    outcome = [name for name in features if name in roles.names and name != roles.start]
    if outcome:
        what = f"{', '.join(outcome)} says how long or how it ended"
        raise BadComparison(what, where="features", todo="Leave it out: it is what is learned, not from what.")
    return ColumnKinds.of(table.select(list(features)), ())


def _suspicions(
    table: pa.Table, roles: HazardRoles, lifetimes: Lifetimes, features: Sequence[str] | None
) -> tuple[str, ...]:
    """Columns that grow with the time observed: their value was not known at the start."""
    rows = lifetimes.rows[~lifetimes.is_event]
    if len(rows) < 50 or len(np.unique(lifetimes.last[~lifetimes.is_event])) < 5:
        return ()
    shown = rows[:: max(1, len(rows) // 20_000)]
    few = table.take(pa.array(shown))
    length = rankdata((lifetimes.last - lifetimes.entered)[~lifetimes.is_event][:: max(1, len(rows) // 20_000)])
    notes = []
    for name, values in _kinds(few, roles, features).read(few).numbers.items():
        is_known = ~np.isnan(values)
        if is_known.sum() < 50 or len(np.unique(values[is_known])) < 5:
            continue
        correlation = float(np.corrcoef(rankdata(values[is_known]), length[is_known])[0, 1])
        if abs(correlation) >= SUSPICIOUS:
            notes.append(
                f"{name} goes with the time observed (rank correlation {correlation:.2f} among customers who have not "
                "left): give its value at the start, or leave it out."
            )
    return tuple(notes)


def _checked(limit: int) -> int:
    if limit < 1000:
        raise NotEnoughData(
            f"{limit} person-periods are too few to learn from", where="sample_limit", todo="Give 1,000 or more."
        )
    return limit
