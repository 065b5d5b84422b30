"""Whether a customer orders nothing in the next 90 days."""

from patron.predict.averaged_probability import AveragedProbability, FewLabels
from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.order_probability import OrderProbability
from patron.predict.probability_learners import BoostedProbability, ComponentLogistic, Logistic, RfmLogistic
from patron.schema.models.questions import CHURN

PARETO_NBD = OrderProbability(CHURN.horizon_days, is_of_none=True)
MEMBERS = (Logistic(), BoostedProbability(), RfmLogistic(), PARETO_NBD)
LEARNERS = (Mean(), RecencyOnly(), *MEMBERS, FewLabels((ComponentLogistic(), PARETO_NBD)), AveragedProbability(MEMBERS))
