"""What comes next after the last items of a user: a self-attentive network over their sequence (SASRec).

Blocks of causal attention (Kang and McAuley 2018) turn the last items of a user, each with its place counted from the
end, into a vector; P(next = i) is the softmax of its product with the items' vectors. The loss is cross-entropy over
the item that came next and items drawn at random, with which it is far better than with its first loss (Klenitskiy and
Vasilev 2023). The order of rows counts, not the time between them. torch fits it; recommending, also for other users,
needs NumPy only. An epoch costs O(rows x (length x width + width^2 + negatives x
width)): minutes per million rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from patron.estimators.torch_import import import_torch, reproducible_draws
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.factors.factor_solver import Factors
from patron.recommenders.factors.fitted_factors import FittedSoftmax
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.networks.attention_states import sequence_ends, weight_shapes
from patron.recommenders.recommender import FittedRecommender, Recommender


@dataclass(frozen=True, eq=False)
class FittedSelfAttention(FittedSoftmax):
    """Vectors of where each user's sequence ends, and of items."""

    learner: "SelfAttention"
    weights: tuple[Factors, ...]
    """Of the network, in the order of `weight_shapes`."""

    def fold_rows(self, known: Interactions) -> Self:
        """Where other users' sequences end."""
        ends = self.learner.sequence_ends(known, self.item_factors, self.weights)
        return replace(self, catalogue=self.catalogue.fold_rows(known), user_factors=ends)


@dataclass(frozen=True)
class SelfAttention(Recommender):
    """A small SASRec with sampled softmax; needs the extra `deep`."""

    width: int = 64
    """Length of the vector of each item."""
    blocks: int = 2
    heads: int = 2
    length: int = 50
    """How many of a user's last items it looks at."""
    dropout: float = 0.2
    """Share of numbers that are left out at random while it learns."""
    negatives: int = 1_000
    """Items drawn at random for each update, next to the right one; where the shop has fewer, all."""
    epochs: int = 10
    """How often all rows are gone through."""
    fewest_updates: int = 600
    """Small data is gone through more often than `epochs` says, until there are so many updates."""
    sequences_at_once: int = 64
    learning_rate: float = 0.001
    seed: int = 0
    """Where the weights begin, and what is drawn."""

    name: ClassVar[str] = "self_attention"
    fitted: ClassVar[type[FittedRecommender]] = FittedSelfAttention

    def fit_interactions(self, known: Interactions) -> FittedSelfAttention:
        """Fit to the order of each user's rows. Raises MissingExtra without torch."""
        torch = import_torch(self.name)
        sequences = sequences_of(known, self.length)
        with reproducible_draws(torch, self.seed):
            network = Network(torch, self, len(known.items))
            network.fit(torch.as_tensor(sequences))
        weights = {name: one.detach().numpy().copy() for name, one in network.weights.items()}
        items, rest = weights.pop("items")[1:], tuple(weights.values())
        ends = self.sequence_ends(known, items, rest)
        return FittedSelfAttention(self, Catalogue.of(known), user_factors=ends, item_factors=items, weights=rest)

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the network's weights but the items', by name."""
        return weight_shapes(self.width, self.blocks, self.length)

    def sequence_ends(self, known: Interactions, items: Factors, weights: tuple[Factors, ...]) -> Factors:
        """Vector of what comes after the last items of each user."""
        by_name = dict(zip(self.shapes(), weights, strict=True))
        return sequence_ends(last_items(known, self.length), items, by_name, self.heads)


class Network:
    """Weights, as tensors by name; item 0 is the empty place before a short sequence."""

    def __init__(self, torch: Any, settings: SelfAttention, item_count: int) -> None:
        self.torch = torch
        self.settings = settings
        self.item_count = item_count
        shapes = {"items": (item_count + 1, settings.width), **settings.shapes()}
        self.weights = {
            name: torch.ones(shape) if len(shape) == 1 else 0.02 * torch.randn(shape) for name, shape in shapes.items()
        }
        for weight in self.weights.values():
            weight.requires_grad_()

    def states(self, sequences: Any, dropout: float) -> Any:
        """Vector of what comes after each place of each sequence."""
        torch = self.torch
        weights = self.weights
        heads = self.settings.heads
        F, (rows, length) = torch.nn.functional, sequences.shape
        is_item = sequences > 0
        before = torch.ones(length, length, dtype=torch.bool).tril()
        itself = torch.eye(length, dtype=torch.bool)
        may_look = ((before & is_item[:, None, :]) | itself)[:, None]

        def split(x: Any) -> Any:
            return x.view(rows, length, heads, -1).transpose(1, 2)

        x = F.dropout(weights["items"][sequences] * self.settings.width**0.5 + weights["places"][-length:], dropout)
        for block in range(self.settings.blocks):
            normed = self._norm(x, f"{block}.norm_a")
            query, key, value = (split(normed @ weights[f"{block}.{name}"]) for name in ("query", "key", "value"))
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=may_look, dropout_p=dropout)
            x = x + F.dropout(mixed.transpose(1, 2).reshape(x.shape) @ weights[f"{block}.out"], dropout)
            wide = F.gelu(self._norm(x, f"{block}.norm_b") @ weights[f"{block}.wide"])
            x = x + F.dropout(F.dropout(wide, dropout) @ weights[f"{block}.narrow"], dropout)
        return self._norm(x, "norm")

    def _norm(self, x: Any, name: str) -> Any:
        return self.torch.nn.functional.layer_norm(x, x.shape[-1:], self.weights[name])

    def fit(self, sequences: Any) -> None:
        """Go through the sequences, some at a time, in an order drawn anew each time."""
        if len(sequences) == 0:
            return
        torch, settings = self.torch, self.settings
        steps = torch.optim.Adam(list(self.weights.values()), lr=settings.learning_rate, betas=(0.9, 0.98))
        an_epoch = -(-len(sequences) // settings.sequences_at_once)
        for _ in range(max(settings.epochs, -(-settings.fewest_updates // an_epoch))):
            for some in torch.randperm(len(sequences)).split(settings.sequences_at_once):
                steps.zero_grad()
                self.loss(sequences[some]).backward()
                steps.step()

    def loss(self, sequences: Any) -> Any:
        """Cross-entropy of the next item of each place, among items drawn at random."""
        torch, items = self.torch, self.weights["items"]
        sequences = _without_empty_places(sequences)
        before, after = sequences[:, :-1], sequences[:, 1:]
        is_known = before > 0
        states, right = self.states(before, self.settings.dropout)[is_known], after[is_known]
        if self.item_count <= self.settings.negatives:
            return torch.nn.functional.cross_entropy(states @ items[1:].T, right - 1)
        drawn = torch.randint(1, self.item_count + 1, (self.settings.negatives,))
        of_right = (states * items[right]).sum(dim=1, keepdim=True)
        of_drawn = (states @ items[drawn].T).masked_fill(drawn == right[:, None], -torch.inf)
        both = torch.cat([of_right, of_drawn], dim=1)
        return torch.nn.functional.cross_entropy(both, torch.zeros(len(right), dtype=torch.long))


def _without_empty_places(sequences: Any) -> Any:
    """Without the first columns in which no sequence has begun."""
    longest = max(int((sequences > 0).sum(dim=1).max()), 1)
    return sequences[:, -longest:]


def sequences_of(known: Interactions, length: int) -> Codes:
    """As `users_and_sequences`, the rows alone."""
    return users_and_sequences(known, length)[1]


def users_and_sequences(known: Interactions, length: int) -> tuple[Codes, Codes]:
    """User of each row, and rows of length + 1 items, numbered from 1: a user's in order, cut from the end.

    0 is before the first. The last item of a row is the first of the next one, so that each item but a user's first is
    once what comes next.
    """
    place = _places_from_end(known)
    rows = [(known.user, place // length, length - place % length, known.item)]
    is_edge = (place % length == 0) & (place > 0)
    rows.append(
        (known.user[is_edge], place[is_edge] // length - 1, np.zeros(is_edge.sum(), np.int64), known.item[is_edge])
    )
    user, part, at, item = (np.concatenate(columns) for columns in zip(*rows, strict=True))
    parts = part.max(initial=0) + 1
    key, row = np.unique(user * parts + part, return_inverse=True)
    sequences = np.zeros((int(row.max(initial=-1)) + 1, length + 1), dtype=np.int64)
    sequences[row, at] = item + 1
    is_long = (sequences > 0).sum(axis=1) > 1
    return key[is_long] // parts, sequences[is_long]


def last_items(known: Interactions, length: int) -> Codes:
    """Users x length: the last items of each, numbered from 1; 0 before the first."""
    place = _places_from_end(known)
    is_last = place < length
    last = np.zeros((len(known.users), length), dtype=np.int64)
    last[known.user[is_last], length - 1 - place[is_last]] = known.item[is_last] + 1
    return last


def _places_from_end(known: Interactions) -> Codes:
    """How many rows of its user come after each row."""
    order = np.argsort(known.user, kind="stable")
    ends = np.cumsum(np.bincount(known.user, minlength=len(known.users)))
    places = np.empty(len(known), dtype=np.int64)
    places[order] = ends[known.user[order]] - 1 - np.arange(len(known))
    return places
