"""A comparison of models as people read it, or as programs do."""

from typing import TYPE_CHECKING, Any

from patron.interfaces.cli import output

if TYPE_CHECKING:
    from patron.commands.models.compare_table import Comparison

SHOWN = ("accuracy", "precision", "recall", "f1", "average_precision", "log_loss", "calibration_error", "lift")
"""Metrics of the printed table, after the AUC; --json has all of them."""
HEADS = {
    "f1": "F1",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def show_comparison(comparison: "Comparison", *, json: bool) -> None:
    """Print a comparison; with --json its rows, the preferred learner, its threshold and the findings."""
    if json:
        names = ("rows", "preferred", "threshold", "findings")
        output.as_json({name: getattr(comparison, name) for name in names})
        return
    output.say(f"{comparison.cut}.")
    for name, reason in comparison.left_out.items():
        output.say(f"Left out: {name}, because {reason}.")
    output.say()
    part = comparison.last_part
    head = ["learner", "validation AUC", *([f"{part} AUC"] if part == "test" else []), "95% interval"]
    rows = [_cells(comparison, learner, part) for learner in dict.fromkeys(row.learner for row in comparison.rows)]
    title = f"On the {part} rows" if part == "test" else "On the folds"
    output.grid(title, [*head, *(HEADS.get(name, name) for name in SHOWN)], rows, numbers=len(head) - 1 + len(SHOWN))
    _say_preferred(comparison)
    if comparison.findings:
        output.say()
        for finding in comparison.findings:
            output.say(finding, mark="!", style="yellow")
    else:
        output.say("Nothing wrong was found with the table or the cut.")


def _cells(comparison: "Comparison", learner: str, part: Any) -> list[str]:
    scores = {(row.part, row.metric): row for row in comparison.rows if row.learner == learner}
    auc = scores[part, "auc"]
    validation = scores.get(("validation", "auc"))
    cells = [learner, f"{validation.value:.3f}" if validation else ""]
    if part == "test":
        cells.append(f"{auc.value:.3f}")
    values = [scores[part, name].value for name in SHOWN]
    return [*cells, f"{auc.low:.3f} to {auc.high:.3f}", *("" if value != value else f"{value:.3f}" for value in values)]  # noqa: PLR0124 - NaN


def _say_preferred(comparison: "Comparison") -> None:
    gap = comparison.gaps[comparison.preferred]
    if comparison.preferred == comparison.best:
        output.say(f"Preferred: {comparison.preferred}; no other learner has a higher AUC on the folds.")
    else:
        output.say(
            f"Preferred: {comparison.preferred}, the simplest learner within noise of the best ({comparison.best}): on "
            f"the folds its AUC is {gap.value:.4f} lower ({gap.low:.4f} to {gap.high:.4f})."
        )
    output.say(
        f"A row counts as positive ({comparison.label} = {comparison.positive}) from a probability of "
        f"{comparison.threshold:.3f} on."
    )
    if comparison.payoff is not None:
        profit = comparison.profit()
        amounts = [f"{amount / 100:,.2f}" for amount in (profit.value, profit.low, profit.high)]
        output.say(f"Acting on these rows brings {amounts[0]} ({amounts[1]} to {amounts[2]}), costs deducted.")
    if comparison.ceiling is not None:
        ceiling = comparison.ceiling
        output.say(
            f"Ceiling: a model that has seen labels of the test period reaches a test AUC of {ceiling.value:.3f} "
            f"({ceiling.low:.3f} to {ceiling.high:.3f})."
        )
