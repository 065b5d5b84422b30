"""Who responds to the next message, by channel and type of campaign or offer."""

from patron.estimators.boosted_trees import Trees
from patron.estimators.learner import Learner
from patron.predict.averaged_probability import AveragedProbability
from patron.predict.baselines import Mean
from patron.predict.message_response.response_baselines import (
    PersonalResponseRate,
    RateByMessageType,
    RecencyFrequency,
)
from patron.predict.probability_learners import BoostedProbability, Logistic

TREES = BoostedProbability(Trees(rounds=60, leaves=4, learning_rate=0.08, fewest_in_leaf=40, share_of_features=0.3))
LEARNERS: tuple[Learner, ...] = (
    Mean(),
    RateByMessageType(),
    PersonalResponseRate(),
    RecencyFrequency(),
    Logistic(),
    TREES,
    AveragedProbability((Logistic(), TREES)),
)
"""The learners of the question, baselines too."""
