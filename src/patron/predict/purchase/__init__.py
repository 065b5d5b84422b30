"""Whether a customer orders in the next 7 or 30 days, and when."""

from patron.estimators.learner import Learner
from patron.predict.averaged_probability import AveragedProbability
from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.order_probability import OrderProbability
from patron.predict.probability_learners import BoostedProbability, Logistic, RfmLogistic
from patron.schema.models.questions import PURCHASE, PURCHASE_7_DAYS, Question


def learners_of(question: Question) -> tuple[Learner, ...]:
    """The learners of an order within the question's horizon, baselines too."""
    members = (Logistic(), BoostedProbability(), RfmLogistic(), OrderProbability(question.horizon_days))
    return (Mean(), RecencyOnly(), *members, AveragedProbability(members))


LEARNERS = {question.name: learners_of(question) for question in (PURCHASE, PURCHASE_7_DAYS)}
