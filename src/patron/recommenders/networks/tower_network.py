"""The network of two towers: how torch fits it, and the same sums in NumPy."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Flags
from patron.recommenders.factors.factor_solver import Factors
from patron.recommenders.ids import Codes
from patron.recommenders.recommender import batches
from patron.schema.numbers import Numbers

USERS_AT_ONCE = 1_024
SCALE = 10.0
"""Of the product of two vectors of length 1, to begin with."""
MIN_NORM = 1e-6
VALIDATION_SHARE, MAX_VALIDATION, MIN_VALIDATION = 0.2, 3_000, 50
"""Validation users, by whom the epoch is chosen: their share, how many at most, and how many are too few for any."""


def mean_inputs(last: Codes, inputs: Factors) -> Factors:
    """Mean input of each row of items, which are numbered from 1; 0 is no item."""
    means = np.zeros((len(last), inputs.shape[1]), dtype=np.float32)
    for start in range(0, len(last), USERS_AT_ONCE):
        some = last[start : start + USERS_AT_ONCE]
        is_item = some > 0
        sums = (inputs[some - 1] * is_item[..., None]).sum(axis=1)
        means[start : start + USERS_AT_ONCE] = sums / np.maximum(is_item.sum(axis=1, keepdims=True), 1)
    return means


def tower(x: Factors, wide: Factors, narrow: Factors) -> Factors:
    """Vectors of length 1."""
    x = x + np.maximum(x @ wide, 0) @ narrow
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), MIN_NORM)


class TowerNetwork:
    """Weights, as tensors by name, and what is known of items and users."""

    def __init__(self, torch: Any, settings: Any, content: Factors, facts: sp.csr_array) -> None:
        self.torch = torch
        self.settings = settings
        self.facts = facts
        self.content = torch.as_tensor(content)
        self.has_content = self.content.any(dim=1)
        width = settings.width
        shapes = {
            "items": (len(content), width),
            "content": (content.shape[1], width),
            "facts": (facts.shape[1], width),  # type: ignore[index] - of every sparse array
        }
        shapes |= {f"{side}_wide": (width, 2 * width) for side in ("item", "user")}
        shapes |= {f"{side}_narrow": (2 * width, width) for side in ("item", "user")}
        self.weights = {name: shape[-1] ** -0.5 * torch.randn(shape) for name, shape in shapes.items()}
        # why: so it begins with how alike the content of products is, and learns from there
        self.weights["content"] = torch.eye(content.shape[1], width)
        self.weights["items"][self.has_content] = 0.0
        self.weights["item_narrow"].zero_()
        self.weights["user_narrow"].zero_()
        self.weights["scale"] = torch.tensor(SCALE)
        for weight in self.weights.values():
            weight.requires_grad_()

    def weights_in_numpy(self) -> dict[str, Factors]:
        """Weights by name."""
        return {name: one.detach().numpy().copy() for name, one in self.weights.items()}

    def fit(self, users: Codes, sequences: Codes, rows: Codes) -> dict[str, Factors]:
        """Go through the sequences, some at a time, in an order drawn anew each time; `rows` are the items of all.

        Returns the weights after the epoch that ranked the ends of the validation users' sequences best.
        """
        kept = self.weights_in_numpy()
        if not len(sequences):
            return kept
        torch, settings = self.torch, self.settings
        self.rows = torch.as_tensor(rows)
        share = np.bincount(rows, minlength=len(self.content)) / len(rows)
        self.log_share = torch.as_tensor(np.log(np.maximum(share, 1 / len(rows))).astype(np.float32))
        is_validation = self._draw_validation(users)
        validation = users[is_validation], sequences[is_validation]
        users, sequences = users[~is_validation], torch.as_tensor(sequences[~is_validation])
        steps = torch.optim.Adam(self.weights.values(), lr=settings.learning_rate)
        an_epoch = -(-len(sequences) // settings.sequences_at_once)
        best = self._reciprocal_rank(kept, *validation)
        for _ in range(max(settings.epochs, -(-settings.fewest_updates // an_epoch))):
            for some in torch.randperm(len(sequences)).split(settings.sequences_at_once):
                steps.zero_grad()
                self.loss(self.facts[users[some.numpy()]].toarray(), sequences[some]).backward()
                steps.step()
            weights = self.weights_in_numpy()
            rank = self._reciprocal_rank(weights, *validation)
            if rank >= best:
                best, kept = rank, weights
        return kept

    def _draw_validation(self, users: Codes) -> Flags:
        """Which sequences are those of the validation users, who are drawn at random."""
        different = np.unique(users)
        count = min(round(VALIDATION_SHARE * len(different)), MAX_VALIDATION)
        drawn = different[self.torch.randperm(len(different))[: count if count >= MIN_VALIDATION else 0].numpy()]
        return np.isin(users, drawn)

    def _reciprocal_rank(self, weights: dict[str, Factors], users: Codes, sequences: Codes) -> float:
        """Mean reciprocal rank of each sequence's last item among all, by what came before; 0 without sequences."""
        inputs = weights["items"] + self.content.numpy() @ weights["content"]
        items = tower(inputs, weights["item_wide"], weights["item_narrow"])
        before = mean_inputs(sequences[:, :-1], inputs) + self.facts[users].astype(np.float32) @ weights["facts"]
        states, last = tower(before, weights["user_wide"], weights["user_narrow"]), sequences[:, -1] - 1
        total = 0.0
        for batch in batches(np.arange(len(sequences)), len(items)):
            scores = states[batch] @ items.T
            own = scores[np.arange(len(batch)), last[batch]]
            # why not >=: weights that are no numbers must rank last
            total += (1 / (~(scores < own[:, None])).sum(axis=1)).sum()
        return float(total) / max(len(sequences), 1)

    def loss(self, facts: Numbers, sequences: Any) -> Any:
        """Cross-entropy of the next item of each place, among items drawn as often as they occur."""
        torch, weights = self.torch, self.weights
        longest = max(int((sequences > 0).sum(dim=1).max()), 1)
        before, after = sequences[:, -longest:-1], sequences[:, 1 - longest :]
        is_known = before > 0
        inputs = self.inputs(before.clamp(min=1) - 1) * is_known[..., None]
        means = inputs.cumsum(dim=1) / is_known.cumsum(dim=1).clamp(min=1)[..., None]
        of_facts = torch.as_tensor(facts.astype(np.float32)) @ weights["facts"]
        states = self.tower((means + of_facts[:, None])[is_known], "user") * weights["scale"]
        right = after[is_known] - 1
        drawn = self.rows[torch.randint(len(self.rows), (self.settings.negatives,))]
        items, place = torch.unique(torch.cat([right, drawn]), return_inverse=True)
        is_dropped = self.has_content[items] & (torch.rand(len(items)) < self.settings.content_share)
        vectors = self.tower(self.inputs(items, is_dropped), "item")
        of_right, of_drawn = vectors[place[: len(right)]], vectors[place[len(right) :]]
        right_odds = (states * of_right).sum(dim=1) - self.log_share[right]
        drawn_odds = states @ of_drawn.T - self.log_share[drawn]
        odds = torch.cat([right_odds[:, None], drawn_odds.masked_fill(drawn == right[:, None], -torch.inf)], dim=1)
        return torch.nn.functional.cross_entropy(odds, torch.zeros(len(right), dtype=torch.long))

    def inputs(self, items: Any, is_dropped: Any = None) -> Any:
        """What goes into the towers; of the content alone where the item's own vector is dropped."""
        learned = torch_embedding(self.torch, items, self.weights["items"])
        if is_dropped is not None:
            learned = learned * ~is_dropped[:, None]
        return learned + self.content[items] @ self.weights["content"]

    def tower(self, x: Any, side: str) -> Any:
        """Vectors of length 1."""
        x = x + (x @ self.weights[f"{side}_wide"]).relu() @ self.weights[f"{side}_narrow"]
        return self.torch.nn.functional.normalize(x, dim=-1, eps=MIN_NORM)


def torch_embedding(torch: Any, items: Any, weights: Any) -> Any:
    """Rows of weights; faster to derive than by index."""
    return torch.nn.functional.embedding(items, weights)
