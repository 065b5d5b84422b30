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

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartResult:
    """Rows of `backtests` of a part of the stage, and the questions that it could not answer, with the reason."""

    backtests: pa.Table = field(default_factory=BACKTESTS.empty)
    unanswered: tuple[str, ...] = ()
    trainings: tuple[Training, ...] = ()


def part_result(question: Target, answer: Callable[[], CurrentModel]) -> PartResult:
    """What the champion of an answer was measured by, or the reason where it raises NotEnoughData."""
    try:
        champion = answer()
    except NotEnoughData as error:
        log.warning("%s is not answered: %s", question.name, error.log_line)
        return PartResult(unanswered=(f"{question.name}: {error.what}",))
    return PartResult(champion.backtests, trainings=(champion.training,))
