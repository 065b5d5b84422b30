"""What a learner has learned: the effect of each offer on any customer, with its interval."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import scipy

from patron.estimators.saving import Kinds, Saved
from patron.schema.errors import BadTrial
from patron.schema.frames import frame_kind, to_kind
from patron.schema.numbers import Numbers
from patron.uplift.base_learners import FittedMean
from patron.uplift.effect_model import SAVED_KINDS, EffectModel
from patron.uplift.feature_encoding import FeatureEncoding
from patron.uplift.leaf_effects import NORMAL_95, LeafEffects, Segment, segment_of, written_rule
from patron.uplift.trial import Kind, as_table, column_of

CHUNK = 100_000


@dataclass(frozen=True, eq=False)
class FittedUplift(Saved, file="uplift.json"):
    """Effects that were learned from a trial."""

    learner: str
    """Name of the learner."""
    arms: tuple[str, ...]
    """The control first."""
    kind: Kind
    """What outcomes are."""
    encoding: FeatureEncoding
    model: EffectModel
    replicates: tuple[EffectModel, ...]
    """Models of parts of the rows, whose spread around the model of all rows is its error."""
    scale: float
    """Variance of all rows' model as a share of the spread: m / (n - m) of m rows out of n."""
    response_model: FittedMean
    propensity: Any
    """As it was declared by name or by arm; None: estimated, or an array."""
    findings: tuple[str, ...]
    """What is wrong with the trial, in sentences; nothing where nothing is."""

    kinds: ClassVar[Kinds] = SAVED_KINDS

    @property
    def control(self) -> str:
        """The arm without an offer."""
        return self.arms[0]

    @property
    def offers(self) -> tuple[str, ...]:
        """Arms but the control."""
        return self.arms[1:]

    def effects(self, table: Any, ids: str | None = None) -> Any:
        """Effect of each offer on each row, in the outcome's unit, as the kind of frame that came in.

        Columns: `ids` if one is named, then of each offer its name, `_low` and `_high` (95 %, for the mean effect on
        customers alike).
        """
        rows = as_table(table)
        columns: dict[str, Any] = {ids: column_of(rows, ids, "ids")} if ids is not None else {}
        values, half = self._with_half_widths(rows)
        for at, offer in enumerate(self.offers):
            if offer == ids:
                raise BadTrial(f"column {ids} has the name of an offer", where="ids", todo="Rename the column.")
            columns |= {
                offer: values[:, at],
                f"{offer}_low": values[:, at] - half[:, at],
                f"{offer}_high": values[:, at] + half[:, at],
            }
        return to_kind(pa.table(columns), frame_kind(table))

    def effect_matrix(self, table: Any) -> Numbers:
        """Effects without intervals: rows x offers, in the outcome's unit."""
        rows = as_table(table)
        return self.model.effects(self.encoding.matrix(rows))

    def response(self, table: Any) -> Numbers:
        """Expected outcome of each row whatever its arm, in the outcome's unit: what response ranking ranks by."""
        return self.response_model.predict(self.encoding.matrix(as_table(table)))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Segments of an `UpliftTree`, in words; of other learners none."""
        trees = [one for one in self.model.models if isinstance(one, LeafEffects)]
        rules = trees[0].rules if trees else ()
        return tuple(
            segment_of(written_rule(rule, self.encoding), at, dict(zip(self.offers, trees, strict=True)))
            for at, rule in enumerate(rules)
        )

    def _with_half_widths(self, rows: pa.Table) -> tuple[Numbers, Numbers]:
        values = np.empty((rows.num_rows, len(self.offers)))
        half = np.empty_like(values)
        for start in range(0, rows.num_rows, CHUNK):
            part = slice(start, start + CHUNK)
            matrix = self.encoding.matrix(rows.slice(start, CHUNK))
            values[part] = self.model.effects(matrix)
            if self.replicates:
                half[part] = self._spread(matrix, values[part])
            else:
                half[part] = NORMAL_95 * self.model.standard_errors(matrix)
        return values, half

    def _spread(self, matrix: Numbers, effects: Numbers) -> Numbers:
        """Half of each 95 % interval by the replicates: rows x offers."""
        squares = np.zeros_like(effects)
        for model in self.replicates:
            squares += (model.effects(matrix) - effects) ** 2
        return float(scipy.stats.t.ppf(0.975, len(self.replicates))) * np.sqrt(
            self.scale * squares / len(self.replicates)
        )
