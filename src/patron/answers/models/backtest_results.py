"""How the last run's learners did on the past."""

from patron.answers.models.models import Backtest, backtests
from patron.schema.errors import NotFound
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop


def backtest(shop: Shop, question: str | None = None) -> tuple[Backtest, ...]:
    """Every learner's metrics at every origin of one question or all. Raises NoRunYet, NotFound."""
    rows = backtests(last_run(shop))
    known = sorted({row.question for row in rows})
    if question is not None and question not in known:
        listed = ", ".join(known) or "none: there is not enough history to look back from"
        raise NotFound(f"the last run evaluated no question {question!r}", todo=f"It evaluated {listed}.")
    return tuple(row for row in rows if question in {None, row.question})
