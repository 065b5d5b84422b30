"""Recommenders on anybody's interactions: which items each user wants next, compared without looking ahead.

It needs no workspace: any frame that speaks Arrow comes in, with user_id, item_id and, where it has them, `at`,
`weight` and `event`.
"""

from collections.abc import Mapping
from pathlib import Path

from patron.recommenders import saving
from patron.recommenders.co_visitation import CoVisitation
from patron.recommenders.ease import EASE
from patron.recommenders.evaluation import evaluate
from patron.recommenders.item_knn import ItemKNN
from patron.recommenders.learner import Fitted, Learner
from patron.recommenders.recent_popularity import RecentPopularity
from patron.recommenders.rp3beta import RP3beta
from patron.recommenders.splitting import split

LEARNERS: Mapping[str, type[Learner]] = {
    one.name: one for one in (CoVisitation, EASE, ItemKNN, RP3beta, RecentPopularity)
}
"""Every recommender by its name."""


def load(folder: Path | str) -> Fitted:
    """Read a fitted recommender that was saved into a folder. Raises NotFound."""
    return saving.load(folder, LEARNERS)


__all__ = [
    "EASE",
    "LEARNERS",
    "CoVisitation",
    "Fitted",
    "ItemKNN",
    "Learner",
    "RP3beta",
    "RecentPopularity",
    "evaluate",
    "load",
    "split",
]
