"""What a part of the stage did: the trainings that its forecasts rest on, their backtests, and what has no answer."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from patron.predict.retraining import CurrentModel
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import Target
from patron.schema.tables import BACKTESTS
from patron.storage.models.trainings import Training
from patron.storage.runs.stage_view import StageView

log = logging.getLogger(__name__)


def log_unanswered(view: StageView, question: Target, error: NotEnoughData) -> str:
    """Log why the run does not answer a question; the same in short, as the run's summary keeps it."""
    # why not a warning: a young shop has too little history for some questions, and the summary says so
    log.info("run %s does not answer %s: %s", view.run.run_id, question.name, error.log_line)
    return f"{question.name}: {error.what}"


@dataclass(frozen=True)
class PartResult:
    """Rows of `backtests` of a part of the stage, and the questions that it could not answer, with the reason."""

    backtests: pa.Table = field(default_factory=BACKTESTS.empty)
    unanswered: tuple[str, ...] = ()
    trainings: tuple[Training, ...] = ()


def part_result(view: StageView, question: Target, answer: Callable[[], CurrentModel]) -> PartResult:
    """What the champion of an answer was measured by, or the reason where it raises NotEnoughData."""
    try:
        champion = answer()
    except NotEnoughData as error:
        return PartResult(unanswered=(log_unanswered(view, question, error),))
    return PartResult(champion.backtests, trainings=(champion.training,))
