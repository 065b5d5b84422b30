"""Whether a customer orders nothing in the next 90 days."""

from patron.predict.averaged_probability import AveragedProbability
from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.order_probability import OrderProbability
from patron.predict.probability_learners import BoostedProbability, Logistic, RfmLogistic
from patron.schema.models.questions import CHURN

MEMBERS = (Logistic(), BoostedProbability(), RfmLogistic(), OrderProbability(CHURN.horizon_days, is_of_none=True))
LEARNERS = (Mean(), RecencyOnly(), *MEMBERS, AveragedProbability(MEMBERS))
