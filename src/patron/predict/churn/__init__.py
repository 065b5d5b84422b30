"""Whether a customer orders nothing in the next 90 days."""

from patron.predict.averaged_chance import AveragedChance
from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.classifiers import BoostedChance, Logistic, RfmLogistic
from patron.predict.order_chance import OrderChance
from patron.schema.models.questions import CHURN

MEMBERS = (Logistic(), BoostedChance(), RfmLogistic(), OrderChance(CHURN.horizon_days, is_of_none=True))
LEARNERS = (Mean(), RecencyOnly(), *MEMBERS, AveragedChance(MEMBERS))
