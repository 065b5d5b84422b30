"""Whether a contract that ends soon is renewed."""

from patron.clv.boosted_trees import Trees
from patron.predict.averaged_chance import AveragedChance
from patron.predict.baselines import Mean
from patron.predict.classifiers import BoostedChance, Logistic
from patron.predict.contract_churn.contract_baselines import RateByCancellation, RateByTerm
from patron.predict.learner import Learner

TREES = BoostedChance(Trees(rounds=40, leaves=4, learning_rate=0.08, fewest_in_leaf=20))
LEARNERS: tuple[Learner, ...] = (
    Mean(),
    RateByTerm(),
    RateByCancellation(),
    Logistic(),
    TREES,
    AveragedChance((Logistic(), TREES)),
)
"""The learners of the question, baselines too."""
