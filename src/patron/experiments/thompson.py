"""Bandits: Thompson sampling with a floor for every arm, whose logged propensities are the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from patron.estimators.saving import SavedFile
from patron.experiments.experiment_table import Codes, read_levels, read_numbers, read_table
from patron.schema.errors import BadExperiment
from patron.schema.json_files import read_json
from patron.schema.numbers import Numbers

DRAWS = 10_000
FEWEST_REWARDS = 10
"""Of an arm, from which on its own rewards speak; until then all arms get equal shares."""


@dataclass(frozen=True, eq=False)
class Choices:
    """An arm for each customer, in the order of the ids, with the probability that it had."""

    ids: Any
    arm: npt.NDArray[np.object_]
    propensity: Numbers


@dataclass(frozen=True)
class Thompson(SavedFile):
    """Thompson sampling among arms by the mean of a reward; what it learns is a new `Thompson`.

    Each arm's share is the probability that it is the best one, and at least the floor. The posterior of a mean is
    Student's t with the variance within all arms, so that an arm whose first customers buy nothing is not given up; of
    rewards of 0 and 1 it is the beta distribution from a uniform prior.
    """

    arms: tuple[str, ...]
    floor: float = 0.05
    """Least share of each arm: what keeps effects measurable, and a bandit from settling on the wrong arm."""
    is_binary: bool = False
    """Whether rewards are 0 or 1."""
    count: tuple[float, ...] = ()
    total: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    """Rewards of each arm so far: how many, their sum, their sum of squares."""

    kind: ClassVar[str] = "thompson"

    def __post_init__(self) -> None:
        """Refuse arms and floors that cannot be. Raises BadExperiment."""
        if len(set(self.arms)) != len(self.arms) or len(self.arms) < 2:
            raise BadExperiment(f"{len(self.arms)} arms, {len(set(self.arms))} different", where="arms")
        if not 0 <= self.floor * len(self.arms) <= 1:
            what = f"{self.floor:g} of each of {len(self.arms)} arms is not between 0 and 1"
            raise BadExperiment(what, where="floor", todo=f"It is at most {1 / len(self.arms):.3g}.")
        if not self.count:
            for name in ("count", "total", "squares"):
                object.__setattr__(self, name, (0.0,) * len(self.arms))

    def update(self, table: Any, *, arm: str, reward: str) -> Self:
        """The bandit after more rewards: a frame with a row per decision. Raises BadExperiment, NotEnoughData."""
        rows = read_table(table)
        levels, code = read_levels(rows, arm)
        unknown = [str(one) for one in levels if one not in self.arms]
        if unknown:
            what = f"{', '.join(unknown)} is not among the arms"
            raise BadExperiment(what, where=arm, todo=f"They are {', '.join(self.arms)}.")
        values = read_numbers(rows, reward)
        if self.is_binary and not np.isin(values, (0, 1)).all():
            raise BadExperiment("not all are 0 or 1", where=reward, todo="Make a bandit with is_binary=False.")
        place: Codes = np.array([self.arms.index(one) for one in levels])[code]
        sums = [np.bincount(place, weights=one, minlength=len(self.arms)) for one in (None, values, values**2)]
        before = (self.count, self.total, self.squares)
        after = (tuple((np.array(old) + new).tolist()) for old, new in zip(before, sums, strict=True))
        return type(self)(self.arms, self.floor, self.is_binary, *after)

    def shares(self, *, rng: np.random.Generator) -> Numbers:
        """Probability of each arm for the next customers: at least the floor, together 1."""
        best = np.argmax(self._draws(rng), axis=1)
        share = np.bincount(best, minlength=len(self.arms)) / DRAWS
        return self.floor + (1 - self.floor * len(self.arms)) * share

    def choose(self, ids: Sequence[Any] | npt.NDArray[Any], *, rng: np.random.Generator) -> Choices:
        """Draw an arm for each id from `shares`, which are logged as propensities: exactly, not nearly."""
        shares = self.shares(rng=rng)
        codes = rng.choice(len(self.arms), size=len(ids), p=shares / shares.sum())
        return Choices(ids, np.array(self.arms, dtype=np.object_)[codes], shares[codes])

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote. Raises BadExperiment."""
        saved = read_json(Path(path))
        if saved.get("kind") != cls.kind:
            raise BadExperiment("this is not a saved bandit", where=str(path))
        return cls.from_dict(saved)

    def _draws(self, rng: np.random.Generator) -> Numbers:
        """Draws x arms: means of the posterior, or numbers without a difference while an arm has too few rewards."""
        count, total, squares = (np.array(one) for one in (self.count, self.total, self.squares))
        size = (DRAWS, len(self.arms))
        if self.is_binary:
            return rng.beta(1 + total, 1 + count - total, size)
        if (count < FEWEST_REWARDS).any():
            return rng.random(size)
        mean, freedom = total / count, count.sum() - len(count)
        variance = max(float((squares - count * mean**2).sum()), 0.0) / freedom
        if variance == 0.0:
            return np.where(mean == mean.max(), rng.random(size), -1.0)
        return mean + np.sqrt(variance / count) * rng.standard_t(freedom, size)
