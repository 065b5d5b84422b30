"""Whether a customer orders in the next 30 days."""

from patron.predict.averaged_chance import AveragedChance
from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.classifiers import BoostedChance, Logistic, RfmLogistic
from patron.predict.order_chance import OrderChance
from patron.schema.questions import PURCHASE

MEMBERS = (Logistic(), BoostedChance(), RfmLogistic(), OrderChance(PURCHASE.horizon_days))
LEARNERS = (Mean(), RecencyOnly(), *MEMBERS, AveragedChance(MEMBERS))
