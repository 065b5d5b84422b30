"""The model card: what the champion is, why it was chosen, how well it did, and what it cannot do."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import Learner
from patron.predict.backtest import ALL, COVERAGE, Backtest
from patron.storage.models.model_registry import Manifest

LIMITS = (
    "Evaluated at past cutoffs only; a season that the shop has not seen is not forecast.",
    "Reproducible from this manifest and seed while the lake keeps its versions; not after an erasure.",
)


def card_of(result: Backtest, learner: Learner, manifest: Manifest, rows: pa.Table) -> dict[str, str]:
    """Codes, numbers and dates of the card, as text; pages write the sentences in the reader's language.

    `rows` are those of `backtests`.
    """
    coverage = rows.filter(pc.equal(rows["metric"], COVERAGE))["value"].to_pylist()
    card = {
        "question": result.question.meaning,
        "unit": result.question.unit,
        "learner": learner.name,
        "description": description_of(learner),
        "settings": ", ".join(f"{name} = {value}" for name, value in settings_of(learner).items()),
        "why": result.why,
        "best_baseline": result.baseline,
        "cutoffs": ", ".join(result.origins),
        "training_order_lines" if result.question.is_ranking else "training_rows": str(manifest.row_count),
        "training_until": manifest.as_of,
        "left_out": "; ".join(result.left_out),
        "interval_coverage": f"{coverage[0]:.4f}" if coverage else "",
    }
    return {key: text for key, text in card.items() if text}


def description_of(learner: Learner) -> str:
    """What a learner is, a line."""
    return (type(_innermost(learner)).__doc__ or "").splitlines()[0]


def settings_of(learner: Learner) -> dict[str, Any]:
    """Its settings, by name: of one that is levelled, the learner's within."""
    return asdict(_innermost(learner))


def _innermost(learner: Learner) -> Any:
    return getattr(learner, "learner", learner)


def card_text(card: Mapping[str, str], rows: pa.Table, groups: pa.Table | None = None) -> str:
    """The card as Markdown, in English, with the backtest over all origins together and rows of `metrics_by_group`."""
    lines = [f"# {card['learner']}: {card['question']}", ""]
    lines += [f"- **{key.replace('_', ' ')}**: {text}" for key, text in card.items()]
    lines += [f"- {limit}" for limit in LIMITS]
    lines += [
        "",
        "| learner | metric | value | 95 % interval | gain over the best baseline |",
        "|---|---|---|---|---|",
    ]
    for row in rows.filter(pc.equal(rows["origin"], ALL)).to_pylist():
        inside = _between(row["low"], row["high"])
        gain = f"{_number(row['gain'])} {_between(row['gain_low'], row['gain_high'])}"
        lines.append(f"| {row['learner']} | {row['metric']} | {_number(row['value'])} | {inside} | {gain} |")
    if groups is not None and groups.num_rows:
        lines += _group_lines(groups)
    return "\n".join([*lines, ""])


def _group_lines(groups: pa.Table) -> list[str]:
    """A table of the groups, each next to the baseline and the earlier model."""
    first = groups.slice(0, 1).to_pylist()[0]
    others = f"{first['baseline']} and to {first['earlier_version'] or 'no earlier model'}"
    lines = [
        "",
        f"By group at {first['origin']}: {first['metric']}, next to {others}",
        "",
        "| group | customers | value | 95 % interval | gain over the baseline | gain over the earlier model |",
        "|---|---|---|---|---|---|",
    ]
    for row in groups.to_pylist():
        inside = _between(row["low"], row["high"])
        gain = f"{_number(row['gain'])} {_between(row['gain_low'], row['gain_high'])}"
        against = f"{_number(row['earlier_gain'])} {_between(row['earlier_gain_low'], row['earlier_gain_high'])}"
        name = f"{row['grouping'].replace('_', ' ')} {row['group_name']}"
        lines.append(f"| {name} | {row['customer_count']} | {_number(row['value'])} | {inside} | {gain} | {against} |")
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.5g} to {high:.5g}"
