"""Recommenders on anybody's interactions: which items each user wants next, compared without looking ahead.

It needs no workspace: any frame that speaks Arrow comes in, with user_id, item_id and, where it has them, `at`,
`weight`, `event` and `category`.
"""

from collections.abc import Mapping
from pathlib import Path

from patron.recommenders import saving
from patron.recommenders.combined.attention_mixture import AttentionMixture
from patron.recommenders.combined.blend import Blend
from patron.recommenders.combined.learned_ranking import LearnedRanking
from patron.recommenders.evaluation import evaluate
from patron.recommenders.factors.als import ALS
from patron.recommenders.factors.ease import EASE
from patron.recommenders.factors.matrix_factorisation import MatrixFactorisation
from patron.recommenders.factors.slim import SLIM
from patron.recommenders.item_hazard import ItemHazard
from patron.recommenders.neighbours.co_visitation import CoVisitation
from patron.recommenders.neighbours.item_knn import ItemKNN
from patron.recommenders.neighbours.rp3beta import RP3beta
from patron.recommenders.neighbours.tifu_knn import TifuKnn
from patron.recommenders.neighbours.transition_mixture import TransitionMixture
from patron.recommenders.neighbours.user_window_cf import UserWindowCf
from patron.recommenders.networks.self_attention import SelfAttention
from patron.recommenders.networks.two_towers import TwoTowers
from patron.recommenders.popularity.category_popularity import CategoryPopularity
from patron.recommenders.popularity.personal_frequency import PersonalFrequency
from patron.recommenders.popularity.recent_popularity import RecentPopularity
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.recommenders.splitting import split

LEARNERS: Mapping[str, type[Recommender]] = {
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
        TransitionMixture,
        UserWindowCf,
    )
}
"""Every recommender by its name, the baseline first."""
EXTRA_LEARNERS: Mapping[str, type[Recommender]] = {
    one.name: one for one in (AttentionMixture, SelfAttention, TwoTowers)
}
"""Recommenders that need an extra to be fitted: `deep`."""
DEFAULT = LearnedRanking()
"""The recommender for data that nobody has looked at before."""


def load(folder: Path | str) -> FittedRecommender:
    """Read a fitted recommender that was saved into a folder. Raises NotFound."""
    return saving.load(folder, {**LEARNERS, **EXTRA_LEARNERS})


__all__ = [
    "ALS",
    "DEFAULT",
    "EASE",
    "EXTRA_LEARNERS",
    "LEARNERS",
    "SLIM",
    "AttentionMixture",
    "Blend",
    "CategoryPopularity",
    "CoVisitation",
    "FittedRecommender",
    "ItemHazard",
    "ItemKNN",
    "LearnedRanking",
    "MatrixFactorisation",
    "PersonalFrequency",
    "RP3beta",
    "RecentPopularity",
    "Recommender",
    "SelfAttention",
    "TifuKnn",
    "TransitionMixture",
    "TwoTowers",
    "UserWindowCf",
    "evaluate",
    "load",
    "split",
]
