"""Edges of the product graph as columns of numbers: from the catalogue's labels, and from frames of relations."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.ids import Codes, plain_ids
from patron.schema.errors import InvalidTable
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers, float_column

KIND_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "category": 0.2,
        "brand": 0.1,
        "bought_together": 1.0,
        "viewed_together": 0.5,
        "complement": 1.0,
        "substitute": 0.5,
        "expert": 2.0,
    }
)
"""How likely a walk follows a kind of edge, compared with the other kinds that its place has."""
KINDS = tuple(KIND_WEIGHTS)
RELATIONS = KINDS[2:]
"""Kinds of edges between two products."""
Edges = tuple[Codes, Codes, Codes, Numbers]
"""From which node, to which, of which kind, of what weight."""


def label_edges(products: pa.Table) -> tuple[list[Edges], int]:
    """Edges in both directions between products, categories, departments and brands, and how many nodes there are.

    A product hangs on its category, or on its department where it has none; categories hang on the departments of their
    products.
    """
    nodes, parts = products.num_rows, []
    places = {}
    for name in ("category", "department", "brand"):
        code, count = _codes(products, name)
        places[name] = np.where(code < 0, -1, code + nodes)
        nodes += count
    rows = np.arange(products.num_rows)
    of_category = np.where(places["category"] >= 0, places["category"], places["department"])
    upwards = np.unique(np.column_stack([places["category"], places["department"]]), axis=0)
    for kind, one, other in (
        ("category", rows, of_category),
        ("category", upwards[:, 0], upwards[:, 1]),
        ("brand", rows, places["brand"]),
    ):
        is_edge = (one >= 0) & (other >= 0)
        parts += both_ways(
            one[is_edge], other[is_edge], np.full(is_edge.sum(), KINDS.index(kind)), np.ones(is_edge.sum())
        )
    return parts, nodes


def both_ways(node: Codes, target: Codes, kind: Codes, weight: Numbers) -> list[Edges]:
    """Edges and their reverses."""
    return [(node, target, kind, weight), (target, node, kind, weight)]


def relation_table(frame: Any, kind: str | None = None) -> pa.Table:
    """Columns product_id, related_id, kind and weight, and line where the frame has it; `kind` and 1 by default.

    Raises InvalidTable.
    """
    try:
        table = table_without_index(frame)
    except TypeError as error:
        raise _bad(str(error), "Pass a frame of pandas, Polars, DuckDB or Arrow.") from error
    needed = ("product_id", "related_id") if kind else ("product_id", "related_id", "kind")
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise _bad(f"there is no column {', '.join(missing)}", "Pass product_id, related_id, kind and weight.")
    names = table.column_names
    kinds = table["kind"].cast(pa.string()) if "kind" in names else pa.array([kind] * table.num_rows, pa.string())
    unknown = pc.unique(pc.filter(kinds, pc.invert(pc.is_in(kinds, pa.array(RELATIONS))))).to_pylist()
    if unknown:
        raise _bad(f"{', '.join(map(repr, unknown))}: no valid kind of edge", f"Use {', '.join(RELATIONS)}.")
    weight = float_column(table, "weight", missing=np.nan) if "weight" in names else np.ones(table.num_rows)
    if not np.isfinite(weight).all():
        raise _bad(f"{int((~np.isfinite(weight)).sum())} rows have no finite weight", "Leave these rows out.")
    if ((weight < 0) & np.asarray(pc.not_equal(kinds, "expert"))).any():
        raise _bad("a weight is below 0", "Only edges of the kind expert may say that two never go together.")
    ids = {name: plain_ids(table[name]).cast(pa.string()) for name in ("product_id", "related_id")}
    extra = {"line": table["line"]} if "line" in names else {}
    return pa.table(ids | {"kind": kinds, "weight": weight} | extra)


def _codes(products: pa.Table, name: str) -> tuple[Codes, int]:
    """Number of each product's label, -1 without one, and how many labels there are."""
    if name not in products.column_names:
        return np.full(products.num_rows, -1), 0
    texts = products[name].cast(pa.string())
    labels = pc.unique(texts)
    labels = labels.filter(pc.fill_null(pc.not_equal(labels, ""), False))
    code = pc.index_in(texts, value_set=labels, skip_nulls=True).fill_null(-1)
    return np.asarray(code, dtype=np.int64), len(labels)


def _bad(what: str, todo: str) -> InvalidTable:
    return InvalidTable(what, where="edges", todo=todo)
