"""The model card: what the champion is, why it was chosen, how well it did, and what it cannot do."""

from collections.abc import Mapping
from dataclasses import asdict

import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.backtest import ALL, Backtest, covered
from patron.predict.learner import Learner
from patron.storage.model_registry import Manifest

INTERVAL_NOTE = (
    "80 % of what happened to customers with a forecast of this size at past cutoffs lies within low and high"
)


def card_of(result: Backtest, learner: Learner, manifest: Manifest) -> dict[str, str]:
    """Key and text, as console and report show it."""
    question = result.question
    held = covered(result)
    limits = {
        "": "Judged on past cutoffs only; a season that was never seen is not foreseen.",
        "left out": "; ".join(result.left_out),
        "interval": f"{INTERVAL_NOTE}; checked one origin at a time it held {held.mean():.0%}"
        if held is not None
        else "",
    }
    card = {
        "question": question.meaning,
        "unit": question.unit,
        "learner": learner.name,
        "what_it_is": (type(learner).__doc__ or "").splitlines()[0],
        "settings": ", ".join(f"{name} = {value}" for name, value in asdict(learner).items()) or "none",
        "why": result.why,
        "best_baseline": result.baseline,
        "judged_at": ", ".join(result.origins) or "no past cutoff",
        "fitted_to": f"{manifest.row_count} customers at past cutoffs up to {manifest.as_of}",
        "limits": " ".join(f"{key}: {text}." if key else text for key, text in limits.items() if text),
        "reproducible": "From this manifest and seed, while the lake keeps its versions; not after an erasure.",
    }
    return {key: text for key, text in card.items() if text}


def card_text(card: Mapping[str, str], rows: pa.Table) -> str:
    """The card as Markdown, with the backtest over all origins together."""
    lines = [f"# {card['learner']}: {card['question']}", ""]
    lines += [f"- **{key.replace('_', ' ')}**: {text}" for key, text in card.items()]
    lines += [
        "",
        "| learner | metric | value | 95 % interval | gain over the best baseline |",
        "|---|---|---|---|---|",
    ]
    for row in rows.filter(pc.equal(rows["origin"], ALL)).to_pylist():
        inside = _between(row["low"], row["high"])
        gain = f"{_number(row['gain'])} {_between(row['gain_low'], row['gain_high'])}"
        lines.append(f"| {row['learner']} | {row['metric']} | {_number(row['value'])} | {inside} | {gain} |")
    return "\n".join([*lines, ""])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.5g} to {high:.5g}"
