"""The learners of each question, baselines too; names are unique within a question."""

from collections.abc import Mapping

from patron.estimators.learner import Learner
from patron.predict import churn, prospects, purchase, recommend, value
from patron.schema.models.questions import CHURN, PROSPECTS, RECOMMEND, VALUE

LEARNERS: Mapping[str, tuple[Learner, ...]] = {
    VALUE.name: value.LEARNERS,
    CHURN.name: churn.LEARNERS,
    **purchase.LEARNERS,
    RECOMMEND.name: recommend.LEARNERS,
    PROSPECTS.name: prospects.LEARNERS,
}
