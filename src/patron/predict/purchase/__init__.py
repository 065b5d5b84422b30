"""Whether a customer orders in the next 30 days."""

from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.classifiers import BoostedChance, Logistic

LEARNERS = (Mean(), RecencyOnly(), Logistic(), BoostedChance())
