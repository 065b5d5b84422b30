"""Two towers: a network that makes a vector of a user's history and facts, and one of an item and what is known of it.

With e(i) a vector of item i that is learned, f(i) its vector of content and g(u) the facts of user u,

    x(i) = e(i) + f(i) F,   item vector = tower(x(i)),   user vector = tower(mean of x over the last items + g(u) G),

where tower(x) is x + relu(x A) B, divided by its length (Covington et al. 2016; Yi et al. 2019). P(next = i) is the
softmax of the vectors' product times a scale. The loss is cross-entropy over the item that came next and items drawn as
often as they occur, less the logarithm of how often that is, which makes up for the draw. While it learns, e is left
out for a share of the items that have content, so that what has no rows has a vector that means the same.

It begins at how alike contents are (F picks directions, e = 0 where there is content, towers add nothing), and keeps
the weights after the epoch that ranked the ends of validation users' sequences best: trained to the end it had
forgotten what looks say. On Complete Journey `content.content_neighbours` ranks new products far better: compare both.
torch fits it; recommending needs NumPy only. An epoch costs O(rows x width x (negatives + width)).
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from patron.estimators.torch_import import import_torch, reproducible_draws
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.content.product_vectors import ProductVectors
from patron.recommenders.factors.factor_solver import Factors
from patron.recommenders.factors.fitted_factors import FittedSoftmax
from patron.recommenders.ids import codes_of_ids
from patron.recommenders.interactions import Interactions
from patron.recommenders.networks.self_attention import last_items, users_and_sequences
from patron.recommenders.networks.tower_network import TowerNetwork, mean_inputs, tower
from patron.recommenders.recommender import FittedRecommender, Recommender, check_settings
from patron.recommenders.side_facts import SideFacts
from patron.schema.errors import NotEnoughData


@dataclass(frozen=True, eq=False)
class FittedTwoTowers(FittedSoftmax):
    """Vectors of users and items, and what makes vectors of other users."""

    learner: "TwoTowers"
    inputs: Factors
    """Items x width: what goes into the towers."""
    weights: tuple[Factors, ...]
    """Of users' facts, and two of their tower."""
    user_ids: pa.Array
    """Users whose facts are known."""
    user_facts: sp.csr_array

    def fold_rows(self, known: Interactions) -> Self:
        """The same items, with vectors of other users and what was known of them; facts of others are not kept."""
        facts = SideFacts(self.user_ids, self.user_facts).of_ids(known.users)
        x = self.learner.user_vectors(known, self.inputs, facts, self.weights)
        catalogue = self.catalogue.fold_rows(known)
        return replace(self, catalogue=catalogue, user_factors=x, user_ids=facts.ids, user_facts=facts.facts)


@dataclass(frozen=True)
class TwoTowers(Recommender):
    """Histories and facts against items and content; needs the extra `deep`."""

    width: int = 64
    """Length of the vectors."""
    length: int = 50
    """How many of a user's last items it looks at."""
    negatives: int = 1_000
    """Items drawn for each update, next to the right ones."""
    content_share: float = 0.5
    """How often an item is known by its content alone while it learns."""
    epochs: int = 5
    """How often all rows are gone through."""
    fewest_updates: int = 600
    """Small data is gone through more often than `epochs` says, until there are so many updates."""
    sequences_at_once: int = 64
    learning_rate: float = 0.003
    seed: int = 0
    """Where the weights begin, and what is drawn."""

    name: ClassVar[str] = "two_towers"
    fitted: ClassVar[type[FittedRecommender]] = FittedTwoTowers

    def fit(self, interactions: Any, products: Any = None, users: Any = None) -> FittedTwoTowers:
        """As of every learner, with what is known of items and users.

        `products` is a frame with product_id and what the catalogue says, as of `content.ProductVectors.of`, or these
        vectors; products without an interaction are recommended too. `users` is a frame with user_id and texts or
        numbers. Raises BadInteractions, InvalidTable, NotEnoughData, and MissingExtra without torch.
        """
        check_settings(self)
        known = interactions if isinstance(interactions, Interactions) else Interactions.of(interactions)
        if not len(known):
            raise NotEnoughData("no row to learn from", where="interactions", todo="Pass some interactions.")
        is_made = products is None or isinstance(products, ProductVectors)
        vectors = products if is_made else ProductVectors.of(products)
        known = known if vectors is None else _with_items(known, vectors.items)
        return self._fit_towers(known, vectors, SideFacts.of(users) if users is not None else SideFacts.none())

    def fit_interactions(self, known: Interactions) -> FittedTwoTowers:
        """Fit to histories alone. Raises MissingExtra without torch."""
        return self._fit_towers(known, None, SideFacts.none())

    def user_vectors(
        self, known: Interactions, inputs: Factors, facts: SideFacts, weights: tuple[Factors, ...]
    ) -> Factors:
        """Vectors of length 1 of histories and facts."""
        of_facts, *of_tower = weights
        means = mean_inputs(last_items(known, self.length), inputs)
        return tower(means + facts.rows_of(known.users).astype(np.float32) @ of_facts, *of_tower)

    def _fit_towers(self, known: Interactions, vectors: ProductVectors | None, facts: SideFacts) -> FittedTwoTowers:
        torch = import_torch(self.name)
        content = _content(known.items, vectors)
        users, sequences = users_and_sequences(known, self.length)
        with reproducible_draws(torch, self.seed):
            network = TowerNetwork(torch, self, content, facts.rows_of(known.users))
            weights = network.fit(users, sequences, known.item)
        has_rows = np.bincount(known.item, minlength=len(known.items)) > 0  # else it is still where it began, at random
        inputs = (weights["items"] * has_rows[:, None] + content @ weights["content"]).astype(np.float32)
        items = weights["scale"] * tower(inputs, weights["item_wide"], weights["item_narrow"])
        of_users = weights["facts"], weights["user_wide"], weights["user_narrow"]
        x = self.user_vectors(known, inputs, facts, of_users)
        return FittedTwoTowers(
            self,
            Catalogue.of(known),
            user_factors=x,
            item_factors=items,
            inputs=inputs,
            weights=of_users,
            user_ids=facts.ids,
            user_facts=facts.facts,
        )


def _with_items(known: Interactions, ids: pa.Array) -> Interactions:
    """The same rows, with items that have none."""
    new = ids.filter(pa.array(codes_of_ids(ids, known.items) < 0)).cast(known.items.type)
    return known.of_items(pa.concat_arrays([known.items, new]).sort()) if len(new) else known


def _content(items: pa.Array, vectors: ProductVectors | None) -> Factors:
    """Items x dimensions; zero for an item of which nothing is known."""
    if vectors is None:
        return np.zeros((len(items), 0), dtype=np.float32)
    place = codes_of_ids(items, vectors.items)
    return vectors.vectors[place] * (place >= 0).astype(np.float32)[:, None]
