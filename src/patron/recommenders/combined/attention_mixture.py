"""Two models of what comes next in a sequence as one probability: self-attention, and a mixture of transitions.

    p(b) = s P(b | self-attention) + (1 - s) P(b | mixture of transitions)

s is the share that ranks users' last rows best (mean reciprocal rank), with models fitted without these rows. The share
with the highest likelihood would favour attention even where it ranks worse, as it gives every item some probability.
The network is then kept as it is, and reads the last rows; transitions are counted again, in all rows. Attention knows
what goes together across a whole sequence, such as tastes, but copies poorly: where users come back to their own items,
or there are few rows for many items, s is small, and lists are mostly those of the transitions.

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
from patron.recommenders.splitting import last_rows
from patron.schema.numbers import Numbers

MAX_JUDGED = 3_000
"""Users whose last rows choose the share, at most."""
SHARES = np.linspace(0, 1, 11)
"""Shares of attention that are tried; of equally good ones the smallest is chosen."""


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
    """Self-attention and transitions, mixed so that users' last rows rank best; needs the extra `deep`."""

    width: int = 64
    """Length of the vector of each item in the network."""
    fewest_updates: int = 3_000
    """Small data is gone through more often than `epochs` says, until there are so many updates."""
    epochs: int = 10
    """How often the network goes through all rows."""
    seed: int = 0
    """Where the network begins, and which users choose the share, where there are more than are needed."""

    name: ClassVar[str] = "attention_mixture"
    fitted: ClassVar[type[FittedRecommender]] = FittedAttentionMixture

    def fit_interactions(self, known: Interactions) -> FittedAttentionMixture:
        """Fit both without users' last rows, choose the share on these. Raises MissingExtra without torch."""
        network = SelfAttention(
            width=self.width, fewest_updates=self.fewest_updates, epochs=self.epochs, seed=self.seed
        )
        is_last = last_rows(known.user, known.day)
        before, last = known.where(~is_last), known.where(is_last)
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
        """The share that ranks the last rows best; half where there are none."""
        users = last.user
        if not len(users):
            return 0.5
        chosen = np.arange(len(users))
        if len(users) > MAX_JUDGED:
            chosen = np.sort(np.random.default_rng(self.seed).choice(len(users), MAX_JUDGED, replace=False))
        transitions = TransitionMixture(seed=self.seed).fit_interactions(before)
        reciprocal_ranks = np.zeros(len(SHARES))
        for batch in batches(chosen, len(before.items)):
            by_attention, by_transitions = (probabilities(model, users[batch]) for model in (attention, transitions))
            for position, share in enumerate(SHARES):
                mixed = share * by_attention + (1 - share) * by_transitions
                of_last_item = np.take_along_axis(mixed, last.item[batch][:, None], axis=1)
                reciprocal_ranks[position] += (1 / (mixed >= of_last_item).sum(axis=1)).sum()
        return float(SHARES[reciprocal_ranks.argmax()])


def probabilities(model: FittedRecommender, users: Codes) -> Numbers:
    """Probability of each item to be next, users x items; 0 for items that the model does not score."""
    scores = np.asarray(model.scores(users))
    return np.where(np.isfinite(scores), scores, 0.0)
