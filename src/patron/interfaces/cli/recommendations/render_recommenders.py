"""A comparison of recommenders as people read it, or as programs do."""

from typing import TYPE_CHECKING, Any

from patron.interfaces.cli import output

if TYPE_CHECKING:
    from patron.commands.recommendations.compare_recommenders import RecommenderComparison

SHOWN = {"recall": "recall", "mrr": "MRR", "hit_rate": "hit rate", "coverage": "coverage", "novelty": "novelty, bits"}
"""Metrics of the printed table after NDCG; --json has all of them with their intervals."""


def show_recommenders(comparison: "RecommenderComparison", *, json: bool) -> None:
    """Print a comparison of recommenders; with --json its rows, and what was compared."""
    rows = comparison.rows.to_pylist()
    if json:
        names = ("split", "k", "train_count", "test_count", "user_count", "repeat_share", "is_repeating")
        output.as_json({"rows": rows} | {name: getattr(comparison, name) for name in names})
        return
    kept = "they are recommended" if comparison.is_repeating else "they are left out"
    output.say(
        f"{comparison.train_count:,} rows to learn from, {comparison.test_count:,} rows of {comparison.user_count:,} "
        f"users to test on ({comparison.split})."
    )
    output.say(f"{comparison.repeat_share:.0%} of the test rows name an item that the user had before; {kept}.")
    output.say()
    has_ratings = any(row["rmse"] is not None for row in rows)
    heads = ["recommender", f"NDCG@{comparison.k}", "95% interval", "gain over the baseline", "95% interval"]
    metrics = SHOWN | ({"rmse": "RMSE", "mae": "MAE"} if has_ratings else {})
    ranked = sorted(rows, key=lambda row: -row["ndcg_cut"])
    cells = [[*_heads(row), *(_number(row[name]) for name in metrics)] for row in ranked]
    output.grid("On the test part", [*heads, *metrics.values()], cells, numbers=len(heads) - 1 + len(metrics))
    output.say(_conclusion(ranked, rows[0]["learner"], comparison.k))


def _conclusion(ranked: list[dict[str, Any]], baseline: str, k: int) -> str:
    """Who has the highest NDCG, and who is better than the baseline: that need not be the same."""
    best = ranked[0]["learner"]
    better = [row["learner"] for row in ranked if row["ndcg_cut_gain_low"] > 0]
    if not better:
        return f"{best} has the highest NDCG@{k}, but no recommender is better than {baseline} beyond noise."
    if best in better:
        return f"{best} has the highest NDCG@{k}, better than {baseline} beyond noise."
    return f"{best} has the highest NDCG@{k}, but only {', '.join(better)} is better than {baseline} beyond noise."


def _heads(row: dict[str, Any]) -> list[str]:
    return [
        row["learner"],
        _number(row["ndcg_cut"]),
        f"{_number(row['ndcg_cut_low'])} to {_number(row['ndcg_cut_high'])}",
        f"{row['ndcg_cut_gain']:+.4f}",
        f"{row['ndcg_cut_gain_low']:+.4f} to {row['ndcg_cut_gain_high']:+.4f}",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
