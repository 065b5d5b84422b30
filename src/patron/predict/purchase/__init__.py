"""Whether a customer orders in the next 7 or 30 days, and when."""

from patron.estimators.learner import Learner
from patron.predict.averaged_probability import AveragedProbability, FewLabels
from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.order_probability import OrderProbability
from patron.predict.probability_learners import BoostedProbability, ComponentLogistic, Logistic, RfmLogistic
from patron.schema.models.questions import PURCHASE, PURCHASE_7_DAYS, Question


def learners_of(question: Question) -> tuple[Learner, ...]:
    """The learners of an order within the question's horizon, baselines too."""
    pareto_nbd = OrderProbability(question.horizon_days)
    members = (Logistic(), BoostedProbability(), RfmLogistic(), pareto_nbd)
    few_labels = FewLabels((ComponentLogistic(), pareto_nbd))
    return (Mean(), RecencyOnly(), *members, few_labels, AveragedProbability(members))


LEARNERS = {question.name: learners_of(question) for question in (PURCHASE, PURCHASE_7_DAYS)}
