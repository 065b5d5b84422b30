"""Complements, substitutes and experts' rules in a CSV file that people edit."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from patron.schema.errors import BadFile

COLUMNS = ("product_id", "related_id", "kind", "weight")
LOWEST_WEIGHTS: Mapping[str, float] = {"complement": 0.0, "substitute": 0.0, "expert": -1.0}
"""Kinds that a file may name, and their lowest weights; the highest is 1, and 0 is none."""
MAX_PROBLEMS = 5


def read_edges(path: Path | str) -> pa.Table:
    """Columns product_id, related_id, kind, weight and line of a CSV file whose first line names them.

    A line without a weight has 1; an `expert` edge below 0 means that the two are never shown together. Whether the
    products exist `ProductGraph.of` checks. Raises BadFile, which names the lines.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"cannot be read: {error}", where=str(path), todo="Save it as CSV in UTF-8.") from error
    lines = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS[:3] if name not in (lines.fieldnames or ())]
    if missing:
        what = f"the first line does not name {', '.join(missing)}"
        raise BadFile(what, where=str(path), todo=f"Begin the file with {','.join(COLUMNS)}.")
    rows = [(lines.line_num, _row(row)) for row in lines if any(row.values())]
    problems = [f"line {line}: {problem}" for line, row in rows for problem in _problems(row)]
    if problems:
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        todo = f"Kinds are {', '.join(LOWEST_WEIGHTS)}; weights go up to 1."
        raise BadFile("; ".join(problems[:MAX_PROBLEMS]) + more, where=str(path), todo=todo)
    columns: dict[str, Any] = {name: pa.array([row[name] for _, row in rows], pa.string()) for name in COLUMNS[:3]}
    columns["weight"] = pa.array([float(row["weight"] or 1) for _, row in rows], pa.float64())
    return pa.table(columns | {"line": pa.array([line for line, _ in rows], pa.int64())})


def _row(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: (row.get(name) or "").strip() for name in COLUMNS}


def _problems(row: Mapping[str, str]) -> Iterator[str]:
    for name in ("product_id", "related_id"):
        if not row[name]:
            yield f"there is no {name}"
    if row["product_id"] == row["related_id"] != "":
        yield f"{row['product_id']} is related to itself"
    if row["kind"] not in LOWEST_WEIGHTS:
        yield f"{row['kind']!r} is not a valid kind"
        return
    try:
        weight = float(row["weight"] or 1)
    except ValueError:
        yield f"the weight {row['weight']!r} is not a number"
        return
    lowest = LOWEST_WEIGHTS[row["kind"]]
    if not (lowest <= weight <= 1 and weight != 0):
        yield f"the weight of {row['kind']} is {row['weight']}, not {'between -1' if lowest else 'above 0'} and 1"
