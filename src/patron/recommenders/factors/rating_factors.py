"""Ratings as mean + bias of the user + bias of the item + product of their factors, by alternating least squares.

Penalties on factors grow with the root of how many ratings a user or an item has. How strong they are is not set but
chosen: a tenth of the ratings is held out, factors are fitted to the others under ever stronger penalties, each time
from where they were, and the strongest penalty is kept whose squared error is within a standard error of the least
(Breiman et al. 1984). The strongest ones leave biases alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from patron.recommenders.factors.factor_solver import Entries, Factors, random_factors, solve
from patron.recommenders.interactions import Codes
from patron.schema.numbers import Numbers

PENALTIES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""Of ratings whose standard deviation is 1."""
ROUNDS = 5
HELD_OUT_SHARE = 0.1
BIAS_PRIOR = 3.0
"""How many ratings at the mean a bias is shrunk by."""


@dataclass(frozen=True, eq=False)
class Side:
    """Ratings in the order of their users, or of their items."""

    codes: Codes
    order: Codes
    counts: Codes
    """How many ratings each has."""

    @classmethod
    def of(cls, codes: Codes, count: int) -> Self:
        """Of users, or of items, by number."""
        return cls(codes, np.argsort(codes, kind="stable"), np.bincount(codes, minlength=count))

    def bias(self, rest: Numbers) -> Numbers:
        """Shrunk mean of what is left of the ratings of each."""
        return np.bincount(self.codes, rest, len(self.counts)) / (self.counts + BIAS_PRIOR)

    def entries(self, others: Codes, targets: Numbers) -> Entries:
        """The others that each has rated or was rated by, and the ratings."""
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        ones = np.ones(len(targets), np.float32)
        return Entries(starts, others[self.order].astype(np.int32), ones, targets[self.order].astype(np.float32))


@dataclass(frozen=True, eq=False)
class RatingFactors:
    """What a rating is the sum of; the factors are in standard deviations of ratings."""

    mean: float
    spread: float
    user_bias: Numbers
    item_bias: Numbers
    x: Factors
    y: Factors
    penalty: float
    """That the factors were fitted under."""

    def forecast(self, user: Codes, item: Codes) -> Numbers:
        """Expected rating of pairs of known users and items."""
        return self.mean + self.user_bias[user] + self.item_bias[item] + self.product(user, item)

    def product(self, user: Codes, item: Codes) -> Numbers:
        """Of the factors, in the unit of ratings."""
        return self.spread * np.einsum("ij,ij->i", self.x[user], self.y[item]).astype(np.float64)

    @classmethod
    def of_vectors(cls, user: Numbers, item: Numbers, spread: float, penalty: float) -> Self:
        """What `vectors` were made of."""
        count, mean = item.shape[1] - 2, float(user[-1, -2])
        x, y = (user[:-1, :count] / spread).astype(np.float32), item[:-1, :count].astype(np.float32)
        return cls(mean, spread, user[:-1, count] - mean, item[:-1, -1], x, y, penalty)

    def vectors(self) -> tuple[Numbers, Numbers]:
        """Of users and of items: their products are ratings. The last of each is that of one who is not known."""
        count = self.x.shape[1]
        user, item = (np.zeros((len(one) + 1, count + 2), dtype=np.float64) for one in (self.x, self.y))
        user[:-1, :count], item[:-1, :count] = self.x * self.spread, self.y
        user[:-1, count], item[:-1, -1] = self.user_bias, self.item_bias
        user[:, count] += self.mean
        user[:, -1] = item[:, count] = 1
        return user, item


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of users and items by number, to fit to."""

    user: Codes
    item: Codes
    rating: Numbers
    shape: tuple[int, int]

    def where(self, rows: Codes) -> "Ratings":
        """Some of the rows."""
        return Ratings(self.user[rows], self.item[rows], self.rating[rows], self.shape)

    def path(self, factors: int, penalties: tuple[float, ...], rng: np.random.Generator) -> Iterator[RatingFactors]:
        """What fits best under each penalty, each time from where the last one ended."""
        of_user, of_item = Side.of(self.user, self.shape[0]), Side.of(self.item, self.shape[1])
        x, y = (random_factors(rng, count, factors) for count in self.shape)
        mean, spread = float(self.rating.mean()), max(float(self.rating.std()), 1e-9)
        at = RatingFactors(mean, spread, user_bias=np.zeros(len(x)), item_bias=np.zeros(len(y)), x=x, y=y, penalty=0.0)
        for penalty in penalties:
            for _ in range(ROUNDS):
                at = self._improve(at, of_user, of_item, penalty)
            yield at

    def _improve(self, at: RatingFactors, of_user: Side, of_item: Side, penalty: float) -> RatingFactors:
        rest = self.rating - at.mean - at.product(self.user, self.item)
        user_bias = of_user.bias(rest - at.item_bias[self.item])
        item_bias = of_item.bias(rest - user_bias[self.user])
        x, y = at.x.copy(), at.y.copy()
        if x.size:
            rest = (self.rating - at.mean - user_bias[self.user] - item_bias[self.item]) / at.spread
            nothing = np.empty((0, x.shape[1]), np.float32)
            solve(x, of_user.entries(self.item, rest), y, nothing, penalty * np.sqrt(of_user.counts))
            solve(y, of_item.entries(self.user, rest), x, nothing, penalty * np.sqrt(of_item.counts))
        return RatingFactors(at.mean, at.spread, user_bias=user_bias, item_bias=item_bias, x=x, y=y, penalty=penalty)

    def fit_users(self, of_items: RatingFactors) -> RatingFactors:
        """Biases and factors of these users, with those of the items as they are."""
        of_user, count = Side.of(self.user, self.shape[0]), of_items.x.shape[1]
        bias, x = np.zeros(self.shape[0]), np.zeros((self.shape[0], count), np.float32)
        at = replace(of_items, user_bias=bias, x=x)
        rest = self.rating - at.mean - at.item_bias[self.item]
        for _ in range(ROUNDS):
            bias, x = of_user.bias(rest - at.product(self.user, self.item)), at.x.copy()
            if x.size:
                entries = of_user.entries(self.item, (rest - bias[self.user]) / at.spread)
                nothing = np.empty((0, count), np.float32)
                solve(x, entries, at.y, nothing, at.penalty * np.sqrt(of_user.counts))
            at = replace(at, user_bias=bias, x=x)
        return at

    def fit(self, factors: int, rng: np.random.Generator) -> RatingFactors:
        """Under the penalty that forecasts held-out ratings best."""
        is_held_out = rng.random(len(self.rating)) < HELD_OUT_SHARE
        penalty = PENALTIES[0]
        if factors and is_held_out.any() and not is_held_out.all():
            others, held_out = self.where(np.flatnonzero(~is_held_out)), self.where(np.flatnonzero(is_held_out))
            errors = np.array([held_out.squared_errors(one) for one in others.path(factors, PENALTIES, rng)])
            penalty = PENALTIES[_strongest_good(errors)]
        penalties = tuple(one for one in PENALTIES if one <= penalty)
        return list(self.path(factors, penalties, rng))[-1]

    def squared_errors(self, fitted: RatingFactors) -> Numbers:
        """Of each row."""
        return (self.rating - fitted.forecast(self.user, self.item)) ** 2


def _strongest_good(errors: Numbers) -> int:
    """The last row whose mean is above the best one's by no more than a standard error of their difference."""
    excess = errors - errors[np.argmin(errors.mean(axis=1))]
    noise = excess.std(axis=1) / np.sqrt(errors.shape[1])
    return int(np.flatnonzero(excess.mean(axis=1) <= noise)[-1])
