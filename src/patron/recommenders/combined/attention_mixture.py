"""Two models of what comes next in a sequence as one probability: self-attention, and a mixture of transitions.

    p(b) = s P(b | self-attention) + (1 - s) P(b | mixture of transitions)

s is the share under which users' last rows rank best (mean reciprocal rank), by models that do not know these rows; the
most likely share would favour attention, which gives every item some probability, where it ranks worse. Attention is
then kept as it was fitted, and reads these rows; transitions are counted again, in all rows. Attention
knows what goes together across a whole sequence, such as tastes, but copies poorly: where users come back to their own
items, or few rows tell of many items, s is small and the list is that of the transitions.

Cost: that of both, which is the network's: minutes per million rows on two cores.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from patron.recommenders.best_items import Scores
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.ids import Codes
from patron.recommenders.interactions import Interactions
from patron.recommenders.neighbours.transition_mixture import TransitionMixture
from patron.recommenders.networks.self_attention import SelfAttention
from patron.recommenders.recommender import FittedRecommender, Recommender, batches
from patron.schema.numbers import Numbers

MAX_JUDGED = 3_000
"""Users whose last rows choose the share, at most."""
SHARES = np.linspace(0, 1, 11)
"""Of attention, among which the best is chosen; the smallest of equal ones."""


@dataclass(frozen=True, eq=False)
class FittedAttentionMixture(FittedRecommender):
    """Both models, and the share of attention."""

    attention: FittedRecommender
    transitions: FittedRecommender
    share: float

    def scores(self, users: Codes) -> Scores:
        """Probability that an item is next."""
        return self.share * probabilities(self.attention, users) + (1 - self.share) * probabilities(
            self.transitions, users
        )

    def similarities(self, items: Codes) -> Scores:
        """Those of the transitions."""
        return self.transitions.similarities(items)

    def fold_rows(self, known: Interactions) -> Self:
        """Both models, of what other users had."""
        attention, transitions = self.attention.fold_rows(known), self.transitions.fold_rows(known)
        return replace(self, catalogue=self.catalogue.fold_rows(known), attention=attention, transitions=transitions)


@dataclass(frozen=True)
class AttentionMixture(Recommender):
    """Self-attention and transitions, each as far as it foresaw users' last rows; needs the extra `deep`."""

    width: int = 64
    """Length of the vector of each item in the network."""
    fewest_updates: int = 3_000
    """Of the network, where the data is small."""
    epochs: int = 10
    """How often the network goes through all rows, where they are many."""
    seed: int = 0
    """Where the network begins, and which users choose the share, where there are more than are needed."""

    name: ClassVar[str] = "attention_mixture"
    fitted: ClassVar[type[FittedRecommender]] = FittedAttentionMixture

    def fit_interactions(self, known: Interactions) -> FittedAttentionMixture:
        """Fit both without users' last rows, choose the share on these. Raises MissingExtra without torch."""
        network = SelfAttention(
            width=self.width, fewest_updates=self.fewest_updates, epochs=self.epochs, seed=self.seed
        )
        before, last = without_last_rows(known)
        attention = network.fit_interactions(before)
        share = self._choose_share(attention, before, last)
        return FittedAttentionMixture(
            self,
            Catalogue.of(known),
            attention=attention.fold_rows(known),
            transitions=TransitionMixture(seed=self.seed).fit_interactions(known),
            share=share,
        )

    def _choose_share(self, attention: FittedRecommender, before: Interactions, last: Interactions) -> float:
        users = last.user
        if not len(users):
            return 0.5
        chosen = np.arange(len(users))
        if len(users) > MAX_JUDGED:
            chosen = np.sort(np.random.default_rng(self.seed).choice(len(users), MAX_JUDGED, replace=False))
        transitions = TransitionMixture(seed=self.seed).fit_interactions(before)
        gained = np.zeros(len(SHARES))
        for some in batches(chosen, len(before.items)):
            of_attention, of_transitions = (probabilities(one, users[some]) for one in (attention, transitions))
            for place, share in enumerate(SHARES):
                mixed = share * of_attention + (1 - share) * of_transitions
                of_last = np.take_along_axis(mixed, last.item[some][:, None], axis=1)
                gained[place] += (1 / (mixed >= of_last).sum(axis=1)).sum()
        return float(SHARES[gained.argmax()])


def without_last_rows(known: Interactions) -> tuple[Interactions, Interactions]:
    """All rows but the last of each user who has two or more, and these last rows."""
    order = np.argsort(known.user, kind="stable")
    counts = np.bincount(known.user, minlength=len(known.users))
    last = order[np.cumsum(counts)[counts > 1] - 1]
    is_last = np.zeros(len(known), dtype=np.bool_)
    is_last[last] = True
    return known.where(~is_last), known.where(is_last)


def probabilities(model: FittedRecommender, users: Codes) -> Numbers:
    """Scores of a model of probabilities, with 0 for what it does not score."""
    scores = np.asarray(model.scores(users))
    return np.where(np.isfinite(scores), scores, 0.0)
