"""What is known of users next to their rows, as columns of numbers."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from patron.recommenders.content.content_blocks import label_block
from patron.recommenders.ids import codes_of_ids, id_array, is_text, without_dictionary
from patron.schema.errors import BadInteractions
from patron.schema.frames import table_without_index
from patron.schema.numbers import float_column


@dataclass(frozen=True, eq=False)
class SideFacts:
    """One row of facts per id."""

    ids: pa.Array
    facts: sp.csr_array
    """Ids x columns: one per value of a text, one per number, in standard deviations from its mean."""

    @classmethod
    def of(cls, frame: Any, id_name: str = "user_id") -> Self:
        """Read a frame with an id and columns of texts or numbers; what is missing is 0. Raises BadInteractions."""
        try:
            table = table_without_index(frame)
            ids = id_array(table[id_name])
        except (TypeError, KeyError) as error:
            raise BadInteractions(str(error), where="facts", todo=f"Pass a frame with {id_name}.") from error
        if pc.count_distinct(ids, mode="all").as_py() < len(ids) or ids.null_count:
            raise BadInteractions(f"{id_name} is missing or repeated", where="facts", todo="Pass one row per id.")
        blocks = [_block(table, name) for name in table.column_names if name != id_name]
        return cls(ids, sp.csr_array(sp.hstack(blocks)) if blocks else sp.csr_array((len(ids), 0)))

    @classmethod
    def none(cls) -> Self:
        """Of nobody."""
        return cls(pa.array([], pa.string()), sp.csr_array((0, 0)))

    def of_ids(self, ids: pa.Array) -> Self:
        """Facts of those of these ids that have some."""
        rows = np.flatnonzero(codes_of_ids(self.ids, ids) >= 0)
        return type(self)(self.ids.take(pa.array(rows)), self.facts[rows])

    def rows_of(self, ids: pa.Array) -> sp.csr_array:
        """Facts of each of these ids; a row of zeros where there are none."""
        place = codes_of_ids(ids, self.ids)
        is_known = place >= 0
        pick = np.ones(is_known.sum()), (np.flatnonzero(is_known), place[is_known])
        return sp.csr_array(sp.csr_array(pick, shape=(len(ids), len(self.ids))) @ self.facts)


def _block(table: pa.Table, name: str) -> sp.csr_array:
    column = without_dictionary(table[name])
    if is_text(column.type) or pa.types.is_boolean(column.type):
        return label_block(column.cast(pa.string()))
    try:
        values = float_column(pa.table({name: column}), name, missing=np.nan)
    except pa.ArrowException as error:
        what = f"{name} is neither text nor a number: {column.type}"
        raise BadInteractions(what, where="facts", todo="Leave the column out.") from error
    is_number = np.isfinite(values)
    known = values[is_number]
    spread = float(known.std()) if len(known) else 0.0
    scaled = np.zeros(len(values))
    scaled[is_number] = (known - known.mean()) / spread if spread > 0 else 0.0
    return sp.csr_array(scaled[:, None])
