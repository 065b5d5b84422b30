"""A fitted hazard model: survival, time to come and reasons, always of a customer who is active now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.estimators.boosted_trees import FittedTrees
from patron.estimators.saving import fields_to_json, from_json, to_json
from patron.schema.errors import BadComparison
from patron.schema.frames import frame_kind, table_without_index, to_kind
from patron.schema.json_files import read_json, write_json
from patron.schema.numbers import Numbers
from patron.tabular.columns import ColumnKinds, Index
from patron.tabular.encoding import Encoding
from patron.tabular.hazards.hazard_logistic import FittedHazardLogistic
from patron.tabular.hazards.hazard_model import HazardModel, HazardSummary, LifeTableHazards
from patron.tabular.hazards.hazard_trees import FittedHazardTrees
from patron.tabular.hazards.life_table import LifeTable
from patron.tabular.hazards.observed_lifetimes import MOST_PERIODS, HazardRoles, read_numbers

ROWS_AT_ONCE = 200_000
"""Customers times periods that are held at once."""
SAVED = "hazards.json"
KINDS: Mapping[str, type[Any]] = {one.kind: one for one in (LifeTableHazards, FittedHazardLogistic, FittedHazardTrees)}
Tail = Literal["constant_hazard"]


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each column adds to the log-odds of leaving in the next period: a row and `base` add up to them."""

    columns: tuple[str, ...]
    """The table's columns; the last is the time active so far."""
    log_odds: Numbers
    """A row a customer, a column for each of `columns`."""
    base: float


@dataclass(frozen=True, eq=False)
class FittedHazards:
    """Hazards of discrete periods. Tables that come in have the columns of the features; the same rows come out.

    `active_for` is how long each customer has been active so far, in the unit of the durations that the model learned
    from: one number, one for each row, or the name of a column. Without it, forecasts are of customers who begin. With
    landmarks (`start`), the features are of that time, too.
    """

    roles: HazardRoles
    model: HazardModel = field(repr=False)
    life_table: LifeTable = field(repr=False)
    """The baseline: hazards of all customers that the model learned from."""
    counts: Mapping[str, int]
    """Customers, events, person_periods under observation, and drawn ones that were learned from."""
    notes: tuple[str, ...]
    """What was counted otherwise or left out, and what looks wrong."""
    kinds: ColumnKinds = field(repr=False)
    encoding: Encoding = field(repr=False)

    @property
    def longest_period(self) -> int:
        """The last period that was observed; later ones have the hazard of the last that enough customers reached."""
        return len(self.life_table.at_risk)

    def hazard(self, table: Any, periods: int, *, active_for: Any = None) -> Numbers:
        """P(a customer leaves in a period | active until then), a row a customer, a column each of `periods` to come.

        Raises BadComparison for a column that is missing or a time that is none.
        """
        read = table_without_index(table)
        count = _period_count(periods)
        whole, part = self._active_for(read, active_for)
        hazards = np.empty((read.num_rows, count))
        for some, matrix in self._blocks(read, count + 1):
            width = count + bool(part[some].any())
            at = whole[some][:, None] + 1 + np.arange(width)
            repeated = np.repeat(np.arange(len(matrix)), width)
            ahead = np.tile(np.arange(1, width + 1), len(matrix)) if self.roles.has_landmarks else None
            values = self.model.hazard(matrix[repeated], at.ravel(), ahead).reshape(-1, width)
            hazards[some] = values[:, :count]
            if width > count:
                # A period that has begun: hazards are constant within a period, so survival is a product of powers.
                rest = 1 - part[some][:, None]
                hazards[some] = 1 - (1 - values[:, :-1]) ** rest * (1 - values[:, 1:]) ** (1 - rest)
        return hazards

    def survival(self, table: Any, periods: int, *, active_for: Any = None) -> Numbers:
        """P(active after 1, 2 ... `periods` more periods | active now), a row a customer. Raises BadComparison."""
        stays = 1 - self.hazard(table, periods, active_for=active_for)
        return np.asarray(np.cumprod(stays, axis=1), dtype=np.float64)

    def chance_within(self, table: Any, periods: int, *, active_for: Any = None) -> Numbers:
        """P(a customer who is active now leaves within `periods` periods), 0 to 1. Raises BadComparison."""
        return 1 - self.survival(table, periods, active_for=active_for)[:, -1]

    def expected_remaining_life(
        self, table: Any, horizon: int, *, active_for: Any = None, tail: Tail | None = None
    ) -> Numbers:
        """Expected whole periods that a customer stays active, of the next `horizon` (a restricted mean).

        With tail="constant_hazard" periods after the horizon count, too, each with the hazard of the horizon's last
        one: an assumption, not an estimate; infinite where that hazard is 0. Raises BadComparison.
        """
        hazards = self.hazard(table, horizon, active_for=active_for)
        survival = np.cumprod(1 - hazards, axis=1)
        within = survival.sum(axis=1)
        if tail is None:
            return within
        if tail != "constant_hazard":
            raise BadComparison(f"{tail!r} is no tail", where="tail", todo="Give 'constant_hazard' or nothing.")
        last = hazards[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            after = survival[:, -1] * (1 - last) / last
        return within + np.where(survival[:, -1] > 0, after, 0.0)

    def forecast(self, table: Any, horizon: int, *, active_for: Any = None) -> Any:
        """A row a customer, in the kind of frame that came in: the id, if there is one, and the horizon's forecasts.

        Columns: periods (the horizon), chance_to_leave, expected_remaining_periods. Raises BadComparison.
        """
        read = table_without_index(table)
        survival = self.survival(read, horizon, active_for=active_for)
        return to_kind(
            pa.table(
                {
                    **self._ids(read),
                    "periods": np.full(read.num_rows, horizon),
                    "chance_to_leave": 1 - survival[:, -1],
                    "expected_remaining_periods": survival.sum(axis=1),
                }
            ),
            frame_kind(table),
        )

    def contributions(self, table: Any, *, active_for: Any = None) -> Contributions:
        """What each column does to the log-odds of leaving in the next period: exact Shapley values (TreeSHAP).

        Raises BadComparison.
        """
        read = table_without_index(table)
        whole, _ = self._active_for(read, active_for)
        sources = [*self.encoding.sources, "time active"]
        names = tuple(dict.fromkeys(sources))
        place = np.array([names.index(source) for source in sources])
        values, base = np.zeros((read.num_rows, len(names))), 0.0
        for some, matrix in self._blocks(read, 1):
            ahead = np.ones(len(matrix), dtype=np.intp) if self.roles.has_landmarks else None
            parts, base = self.model.contributions(matrix, whole[some] + 1, ahead)
            if len(names) == len(sources):
                values[some] = parts
                continue
            for at, name in enumerate(place):
                values[some, name] += parts[:, at]
        return Contributions(names, values, base)

    def reasons(self, table: Any, *, active_for: Any = None, most: int = 3) -> Any:
        """The columns that raise a customer's hazard most, in the kind of frame that came in.

        Columns: the id, reason_1 ... (a column of the table, or nothing), effect_1 ... (what it adds to the log-odds).
        Raises BadComparison.
        """
        read = table_without_index(table)
        one = self.contributions(read, active_for=active_for)
        shown = min(most, len(one.columns))
        order = np.argsort(-one.log_odds, axis=1, kind="stable")[:, :shown]
        effects = np.take_along_axis(one.log_odds, order, axis=1)
        columns: dict[str, Any] = self._ids(read)
        names = pa.array(one.columns)
        for at in range(shown):
            raises = effects[:, at] > 0
            columns[f"reason_{at + 1}"] = names.take(pa.array(order[:, at], mask=~raises))
            columns[f"effect_{at + 1}"] = pa.array(effects[:, at], mask=~raises)
        return to_kind(pa.table(columns), frame_kind(table))

    def summary(self) -> HazardSummary:
        """What was learned, to be read."""
        facts = {name.replace("_", " "): f"{count:,}" for name, count in self.counts.items()}
        facts["periods observed"] = f"{self.longest_period:,}, hazards {self.life_table.overall:.4f} on average"
        effects = pa.table(dict(self.model.effects(self.encoding.sources)))
        return HazardSummary(f"Hazards: {self.model.kind}", effects, {**facts, **self.model.facts()}, self.notes)

    def save(self, folder: Path | str) -> None:
        """Write the model as JSON, and trees as LightGBM's text, into a folder that is made if it is missing."""
        place, model = Path(folder), {}
        place.mkdir(parents=True, exist_ok=True)
        if not isinstance(self.model, LifeTableHazards):  # why: the life table is saved with the fit
            model = fields_to_json(self.model, without=("trees",))
        if isinstance(self.model, FittedHazardTrees):
            self.model.trees.save(place)
        # why pairs: JSON files have their names sorted, and here their order matters
        encoding = to_json(self.encoding)
        content = {
            "roles": to_json(self.roles),
            "kind": self.model.kind,
            "model": model,
            "life_table": to_json(self.life_table),
            "counts": list(self.counts.items()),
            "notes": self.notes,
            "kinds": list(self.kinds.kinds.items()),
            "left_out": list(self.kinds.left_out.items()),
            "encoding": encoding | {"level_means": list(encoding["level_means"].items())},
        }
        write_json(place / SAVED, content)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read what `save` wrote."""
        saved = read_json(Path(folder) / SAVED)
        kind, encoding = KINDS[saved["kind"]], saved["encoding"]
        parts = {"life_table": saved["life_table"]} if kind is LifeTableHazards else saved["model"]
        if kind is FittedHazardTrees:
            parts |= {"trees": FittedTrees.load(Path(folder))}
        return cls(
            HazardRoles(**saved["roles"]),
            from_json(parts, kind),
            from_json(saved["life_table"], LifeTable),
            dict(saved["counts"]),
            tuple(saved["notes"]),
            ColumnKinds(dict(saved["kinds"]), dict(saved["left_out"])),
            from_json(encoding | {"level_means": dict(encoding["level_means"])}, Encoding),
        )

    def hazard_of_rows(self, table: pa.Table, rows: Index, periods: Index, ahead: Index) -> Numbers:
        """Hazard of each of some pairs of a row of the table and a period, so many ahead."""
        hazards = np.empty(len(rows))
        matrix = self._matrix(table)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            since = ahead[some] if self.roles.has_landmarks else None
            hazards[some] = self.model.hazard(matrix[rows[some]], periods[some], since)
        return hazards

    def _matrix(self, table: pa.Table) -> npt.NDArray[np.float32]:
        return self.encoding.matrix(self.kinds.read(table)).astype(np.float32)

    def _blocks(self, table: pa.Table, width: int) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """Features of some customers at a time."""
        at_once = max(1, ROWS_AT_ONCE // width)
        self.kinds.read(table.slice(0, 0))  # why: a missing column is refused for no rows, too
        for start in range(0, table.num_rows, at_once):
            yield slice(start, min(start + at_once, table.num_rows)), self._matrix(table.slice(start, at_once))

    def _active_for(self, table: pa.Table, active_for: Any) -> tuple[Index, Numbers]:
        """Whole periods that each customer has been active for, and the share of the next one."""
        if active_for is None:
            times = np.zeros(table.num_rows)
        elif isinstance(active_for, str):
            if active_for not in table.column_names:
                raise BadComparison(f"the table has no column {active_for}", where="active_for", todo="Add it.")
            times = read_numbers(table[active_for], active_for)
        else:
            try:
                times = np.broadcast_to(np.asarray(active_for, dtype=np.float64), (table.num_rows,))
            except (TypeError, ValueError) as error:
                todo = "Give one number, one for each row, or the name of a column."
                raise BadComparison(
                    f"it does not fit {table.num_rows:,} rows", where="active_for", todo=todo
                ) from error
        periods = times / self.roles.period_length
        if not ((periods >= 0) & (periods < MOST_PERIODS)).all():
            what = "a time is missing, negative or too long"
            raise BadComparison(what, where="active_for", todo="Give how long each customer has been active.")
        whole = np.floor(periods + 1e-9)
        if self.roles.has_landmarks:
            periods = whole  # periods are counted from now on, as they were from the start
        return whole.astype(np.intp), np.where(periods - whole > 1e-9, periods - whole, 0.0)

    def _ids(self, table: pa.Table) -> dict[str, Any]:
        name = self.roles.id
        return {} if name is None or name not in table.column_names else {name: table[name]}


def _period_count(periods: int) -> int:
    if isinstance(periods, bool) or not isinstance(periods, int | np.integer) or not 1 <= periods <= MOST_PERIODS:
        raise BadComparison(f"{periods!r} is not a number of periods", todo="Give a whole number from 1 on.")
    return int(periods)
