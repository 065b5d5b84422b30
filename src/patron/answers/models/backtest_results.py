"""How the last run's learners did on the past."""

from patron.answers.models.models import Backtest, backtests
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

NOT_EVALUATED = Sentence("not_evaluated", "the last run did not evaluate the question {name!r}")
IT_EVALUATED = Sentence("it_evaluated", "It evaluated {names}.")


def backtest(shop: Shop, question: str | None = None) -> tuple[Backtest, ...]:
    """Every learner's metrics at every origin of one question or all. Raises NoRunYet, NotFound."""
    rows = backtests(last_run(shop))
    known = sorted({row.question for row in rows})
    if question is not None and question not in known:
        listed = ", ".join(known) or "none: there is not enough history to look back from"
        raise NotFound(NOT_EVALUATED(name=question), todo=IT_EVALUATED(names=listed))
    return tuple(row for row in rows if question in {None, row.question})
