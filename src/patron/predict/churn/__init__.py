"""Whether a customer who ordered in the last 180 days stays away for the next 90."""

from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.classifiers import BoostedChance, Logistic

LEARNERS = (Mean(), RecencyOnly(), Logistic(), BoostedChance())
