"""Reading exposures: tables of offers and recommendations that reached customers."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import InvalidTable, NotFound
from patron.simulate.event_batches import DAY_US
from patron.simulate.population import People


@dataclass(frozen=True)
class Exposures:
    """Exposures in order of time: who saw what, when and by which decision."""

    person: np.ndarray
    item: np.ndarray
    """Index of the offer or product."""
    decision: list[str]
    exposed_us: np.ndarray
    """Microseconds since the shop's first day."""

    @property
    def day(self) -> np.ndarray:
        """First whole day after exposure, or the same day when exposed at midnight."""
        return -(-self.exposed_us // DAY_US)


def read_exposures(
    rows: pa.Table, item: str, known: list[str], people: People, start_us: int, window_us: tuple[int, int]
) -> Exposures:
    """Read a table with user_id, decision_id, exposed_at and the item's id.

    Raises InvalidTable for missing columns, missing times and times outside the window, NotFound for unknown customers
    and items.
    """
    missing = [name for name in ("user_id", item, "decision_id", "exposed_at") if name not in rows.column_names]
    if missing:
        raise InvalidTable(
            f"missing columns {missing}", where="exposures", todo=f"Give user_id, {item}, decision_id, exposed_at."
        )
    if rows["exposed_at"].null_count:
        raise InvalidTable(
            "some exposures have no time", where="exposures.exposed_at", todo="Give the time at which each was shown."
        )
    exposed = rows["exposed_at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() - start_us
    if len(exposed) and (exposed.min() < window_us[0] or exposed.max() >= window_us[1]):
        raise InvalidTable(
            "exposures lie outside the time that is being simulated",
            where="exposures.exposed_at",
            todo="Give exposures of this step only: from the simulated present to the end of the step.",
        )
    index = pc.index_in(rows[item].cast(pa.string()), pa.array(known, pa.string()))
    if index.null_count:
        unknown = rows[item].filter(pc.is_null(index))[0].as_py()
        raise NotFound(f"no {item} {unknown!r}", where="exposures", todo="Use the shop's own offers and products.")
    person = _persons(rows["user_id"].cast(pa.string()), people)
    order = np.argsort(exposed, kind="stable")
    decision = rows["decision_id"].cast(pa.string()).to_pylist()
    return Exposures(
        person[order], index.to_numpy()[order].astype(np.int64), [decision[i] for i in order], exposed[order]
    )


def _persons(user_ids: pa.ChunkedArray, people: People) -> np.ndarray:
    """Positions of the people with these ids."""
    is_id = pc.fill_null(pc.match_substring_regex(user_ids, "^C[0-9]{1,12}$"), fill_value=False)
    number = pc.cast(pc.if_else(is_id, pc.utf8_slice_codeunits(user_ids, 1), "-1"), pa.int64()).to_numpy()
    known = (number >= 0) & (number < len(people))
    known[known] &= ~people.is_visitor[number[known]]
    if not known.all():
        first = user_ids[int(np.flatnonzero(~known)[0])].as_py()
        raise NotFound(
            f"no customer {first!r}", where="exposures.user_id", todo="Use user ids from the simulated events."
        )
    return number
