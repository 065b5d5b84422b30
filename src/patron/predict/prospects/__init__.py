"""What people who have not ordered yet will pay in the next 90 days."""

from patron.predict.baselines import Mean
from patron.predict.prospects.prospect_learners import MeanByChannel, Prospects

LEARNERS = (Mean(), MeanByChannel(), Prospects())
