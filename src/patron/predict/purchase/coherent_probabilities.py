"""Chances that cannot all be true are made coherent: who orders within 7 days does so within 30, and within 90.

Each horizon has a model of its own. Where they contradict each other, the longer horizon stands: it has seen the most
orders, and the shorter is lowered to it.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.models.questions import CHURN, PURCHASE, PURCHASE_7_DAYS
from patron.schema.numbers import Numbers, float_column

SHORTER_FIRST = (PURCHASE_7_DAYS.name, PURCHASE.name, CHURN.name)


def coherent_scores(scores: Sequence[pa.Table]) -> list[pa.Table]:
    """Rows of `scores`, a table per question: no chance of an order is above that of a longer horizon."""
    by_question = {table["question"][0].as_py(): table for table in scores if table.num_rows}
    limit = None
    for name in reversed(SHORTER_FIRST):
        table = by_question.get(name)
        if table is None:
            continue
        chance = order_probability(table)
        if limit is not None:
            chance = np.minimum(chance, _limit_of_customers(table["customer_id"], *limit))
            at = table.column_names.index("value")
            by_question[name] = table.set_column(at, table.schema.field(at), pa.array(chance))
        limit = (table["customer_id"], chance)
    return [by_question[table["question"][0].as_py()] if table.num_rows else table for table in scores]


def order_probability(table: pa.Table) -> Numbers:
    """Probability of an order, from scores of one question; churn is that of none."""
    value = float_column(table, "value")
    return 1 - value if table["question"][0].as_py() == CHURN.name else value


def _limit_of_customers(customers: pa.ChunkedArray, known: pa.ChunkedArray, chance: Numbers) -> Numbers:
    """The chances of a longer horizon for these customers; 1 for those it does not know."""
    place = pc.index_in(customers, known.combine_chunks())
    return float_column(pa.table({"chance": pa.array(chance).take(place.combine_chunks())}), "chance", 1.0)
