"""When a customer needs a category again, and what they pay in it."""

from collections.abc import Mapping

from patron.estimators.boosted_trees import Trees
from patron.estimators.learner import Learner
from patron.predict.category_needs.category_rules import (
    BoughtLast30Days,
    Last90Days,
    MeanByCategory,
    PersonalRate,
    PersonalRhythm,
    PersonalShare,
    RateByCategory,
)
from patron.predict.category_needs.category_spend import BoostedSpend, WeightedRates
from patron.predict.probability_learners import BoostedProbability, Logistic
from patron.schema.models.questions import CATEGORY_PURCHASE, CATEGORY_SPEND

LEARNERS: Mapping[str, tuple[Learner, ...]] = {
    CATEGORY_PURCHASE.name: (
        RateByCategory(),
        BoughtLast30Days(),
        PersonalShare(),
        PersonalRhythm(),
        Logistic(),
        BoostedProbability(Trees(rounds=60, learning_rate=0.08)),
    ),
    CATEGORY_SPEND.name: (MeanByCategory(), Last90Days(), PersonalRate(), WeightedRates(), BoostedSpend()),
}
"""The learners of both questions, baselines too."""
