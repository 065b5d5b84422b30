"""Whether a customer orders in the next 7 or 30 days, and when."""

from patron.estimators.learner import Learner
from patron.predict.averaged_chance import AveragedChance
from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.classifiers import BoostedChance, Logistic, RfmLogistic
from patron.predict.order_chance import OrderChance
from patron.schema.models.questions import PURCHASE, PURCHASE_7_DAYS, Question


def learners_of(question: Question) -> tuple[Learner, ...]:
    """The learners of an order within the question's horizon, baselines too."""
    members = (Logistic(), BoostedChance(), RfmLogistic(), OrderChance(question.horizon_days))
    return (Mean(), RecencyOnly(), *members, AveragedChance(members))


LEARNERS = {question.name: learners_of(question) for question in (PURCHASE, PURCHASE_7_DAYS)}
