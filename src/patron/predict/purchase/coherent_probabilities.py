"""Chances that cannot all be true are made coherent: who orders within 7 days does so within 30, and within 90.

Each horizon has a model of its own. The longer horizon stands: it has seen the most orders. The shorter is drawn below
it, in cumulative hazards: a share r of the longer one becomes r / (1 + r^4)^(1/4). That leaves a usual share as it is
(a third loses .3 %), and one above 1, where the models contradict each other, ends below 1. Customers with the
same longer chance keep their order by the shorter one, and no two horizons have the same chance.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.models.questions import CHURN, PURCHASE, PURCHASE_7_DAYS
from patron.schema.numbers import Numbers, float_column

SHORTER_FIRST = (PURCHASE_7_DAYS.name, PURCHASE.name, CHURN.name)
BEND = 4.0
"""How sharply a share bends towards 1; one that is infinite would cut it off there."""
SUREST = 1 - 1e-9
MOST_SHARE = 100.0
"""A larger share counts as this one: beyond some thousand the result would round to the longer chance itself."""


def coherent_scores(scores: Sequence[pa.Table]) -> list[pa.Table]:
    """Rows of `scores`, a table per question: every chance of an order is below that of a longer horizon."""
    by_question = {table["question"][0].as_py(): table for table in scores if table.num_rows}
    longer = None
    for name in reversed(SHORTER_FIRST):
        table = by_question.get(name)
        if table is None:
            continue
        chance = order_probability(table)
        if longer is not None:
            chance = drawn_below(chance, _chances_of(table["customer_id"], *longer))
            at = table.column_names.index("value")
            by_question[name] = table.set_column(at, table.schema.field(at), pa.array(chance))
        longer = (table["customer_id"], chance)
    return [by_question[table["question"][0].as_py()] if table.num_rows else table for table in scores]


def drawn_below(chance: Numbers, longer: Numbers) -> Numbers:
    """The chance within a horizon, below that within a longer one; as it is where the longer one is not known."""
    most = -np.log1p(-np.clip(longer, 0.0, SUREST))
    hazard = -np.log1p(-np.clip(chance, 0.0, SUREST))
    share = np.divide(hazard, most, out=np.zeros(len(hazard)), where=most > 0)
    share = np.minimum(share, MOST_SHARE)
    with np.errstate(over="ignore"):
        bent = (1 + np.power(share, -BEND, out=np.full(len(share), np.inf), where=share > 0)) ** (-1 / BEND)
    return np.where(np.isnan(longer), chance, -np.expm1(-most * bent))


def order_probability(table: pa.Table) -> Numbers:
    """Probability of an order, from scores of one question; churn is that of none."""
    value = float_column(table, "value")
    return 1 - value if table["question"][0].as_py() == CHURN.name else value


def _chances_of(customers: pa.ChunkedArray, known: pa.ChunkedArray, chance: Numbers) -> Numbers:
    """The chances of a longer horizon for these customers; NaN for those it does not know."""
    place = pc.index_in(customers, known.combine_chunks())
    return float_column(pa.table({"chance": pa.array(chance).take(place.combine_chunks())}), "chance", np.nan)
