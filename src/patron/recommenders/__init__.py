"""Recommenders on anybody's interactions: which items each user wants next, compared without looking ahead.

It needs no workspace: any frame that speaks Arrow comes in, with user_id, item_id and, where it has them, `at`,
`weight`, `event` and `category`.
"""

from collections.abc import Mapping
from pathlib import Path

from patron.recommenders import saving
from patron.recommenders.als import ALS
from patron.recommenders.blend import Blend
from patron.recommenders.category_popularity import CategoryPopularity
from patron.recommenders.co_visitation import CoVisitation
from patron.recommenders.ease import EASE
from patron.recommenders.evaluation import evaluate
from patron.recommenders.item_hazard import ItemHazard
from patron.recommenders.item_knn import ItemKNN
from patron.recommenders.learned_ranking import LearnedRanking
from patron.recommenders.learner import Fitted, Learner
from patron.recommenders.matrix_factorisation import MatrixFactorisation
from patron.recommenders.personal_frequency import PersonalFrequency
from patron.recommenders.recent_popularity import RecentPopularity
from patron.recommenders.rp3beta import RP3beta
from patron.recommenders.self_attention import SelfAttention
from patron.recommenders.slim import SLIM
from patron.recommenders.splitting import split
from patron.recommenders.tifu_knn import TifuKnn
from patron.recommenders.two_towers import TwoTowers
from patron.recommenders.user_window_cf import UserWindowCf

LEARNERS: Mapping[str, type[Learner]] = {
    one.name: one
    for one in (
        RecentPopularity,
        ALS,
        Blend,
        CategoryPopularity,
        CoVisitation,
        EASE,
        ItemHazard,
        ItemKNN,
        LearnedRanking,
        MatrixFactorisation,
        PersonalFrequency,
        RP3beta,
        SLIM,
        TifuKnn,
        UserWindowCf,
    )
}
"""Every recommender by its name, the baseline first."""
EXTRA_LEARNERS: Mapping[str, type[Learner]] = {one.name: one for one in (SelfAttention, TwoTowers)}
"""Recommenders that need an extra to be fitted: `deep`."""
DEFAULT = LearnedRanking()
"""The recommender for data that nobody has looked at before."""


def load(folder: Path | str) -> Fitted:
    """Read a fitted recommender that was saved into a folder. Raises NotFound."""
    return saving.load(folder, {**LEARNERS, **EXTRA_LEARNERS})


__all__ = [
    "ALS",
    "DEFAULT",
    "EASE",
    "EXTRA_LEARNERS",
    "LEARNERS",
    "SLIM",
    "Blend",
    "CategoryPopularity",
    "CoVisitation",
    "Fitted",
    "ItemHazard",
    "ItemKNN",
    "LearnedRanking",
    "Learner",
    "MatrixFactorisation",
    "PersonalFrequency",
    "RP3beta",
    "RecentPopularity",
    "SelfAttention",
    "TifuKnn",
    "TwoTowers",
    "UserWindowCf",
    "evaluate",
    "load",
    "split",
]
