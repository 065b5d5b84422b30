"""Whether a contract that ends soon is renewed."""

from patron.estimators.boosted_trees import Trees
from patron.estimators.learner import Learner
from patron.predict.averaged_probability import AveragedProbability
from patron.predict.baselines import Mean
from patron.predict.contract_churn.after_cancellation import AfterCancellation
from patron.predict.contract_churn.contract_baselines import RateByCancellation, RateByTerm
from patron.predict.probability_learners import BoostedProbability, Logistic

LOGISTIC = Logistic(is_calibrated_on_newest=False)
TREES = BoostedProbability(
    Trees(rounds=40, leaves=4, learning_rate=0.08, fewest_in_leaf=20), is_calibrated_on_newest=False
)
AVERAGED = AveragedProbability((LOGISTIC, TREES))
LEARNERS: tuple[Learner, ...] = (
    Mean(),
    RateByTerm(),
    RateByCancellation(),
    LOGISTIC,
    TREES,
    AVERAGED,
    AfterCancellation(AVERAGED),
)
"""The learners of the question, baselines too."""
