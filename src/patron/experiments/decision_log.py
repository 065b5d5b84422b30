"""A log of decisions with the probability of each, and a policy to be judged on it: read, or refused in words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from patron.schema.errors import BadLog, NotEnoughData
from patron.schema.numbers import Numbers

Codes = npt.NDArray[np.int64]
MIN_ROWS = 20
ROUNDING = 1e-6
"""How far the probabilities of a row may be from adding up to 1."""


@dataclass(frozen=True, eq=False)
class DecisionLog:
    """One row per decision, and what the policy to be judged would have done instead."""

    reward: Numbers
    action: Codes
    propensity: Numbers
    """Probability with which the logged action was chosen."""
    target: Numbers
    """Rows x actions: probabilities of the policy to be judged."""

    @classmethod
    def of(cls, reward: Any, action: Any, propensity: Any, target: Any) -> "DecisionLog":
        """Read arrays. Raises BadLog, NotEnoughData."""
        rewards = as_numbers(reward, "reward", 1)
        probabilities = as_numbers(target, "target", 2, len(rewards))
        if len(rewards) < MIN_ROWS:
            raise NotEnoughData(f"{len(rewards)} decisions; {MIN_ROWS} are needed", where="reward")
        chances = as_numbers(propensity, "propensity", 1, len(rewards))
        actions = _actions(action, len(rewards), probabilities.shape[1])
        _refuse_improbable(chances, probabilities)
        log = cls(rewards, actions, chances, probabilities)
        if not log.weight.any():
            what = "the policy would have taken none of the logged actions"
            raise NotEnoughData(what, where="target", todo="Judge it on a log that tried its actions.")
        if not log.outcome_count:
            what = f"no decision with an action of the policy has another reward than {log.usual_reward:g}"
            raise NotEnoughData(what, where="reward", todo="Wait for more decisions.")
        return log

    @property
    def weight(self) -> Numbers:
        """How much more often the policy would take the logged action than the log did."""
        return self.target[np.arange(len(self.action)), self.action] / self.propensity

    @property
    def usual_reward(self) -> float:
        """The most frequent reward."""
        values, counts = np.unique(self.reward, return_counts=True)
        return float(values[np.argmax(counts)])

    @property
    def outcome_count(self) -> int:
        """Rows with another reward than the usual one, and an action that the policy takes."""
        return int(((self.reward != self.usual_reward) & (self.weight > 0)).sum())

    def of_action(self, values: Numbers) -> Numbers:
        """Of rows x actions, the value of each row's logged action."""
        return values[np.arange(len(self.action)), self.action]


def as_numbers(values: Any, name: str, dimensions: int, rows: int | None = None, columns: int | None = None) -> Numbers:
    """An array of finite numbers of the right shape. Raises BadLog."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadLog(f"not an array of numbers: {error}", where=name, todo="Encode texts as numbers.") from error
    if numbers.ndim != dimensions:
        shape = "one number a row" if dimensions == 1 else "a table of rows and columns"
        raise BadLog(f"an array of {numbers.ndim} dimensions where {shape} is needed", where=name)
    if rows is not None and len(numbers) != rows:
        raise BadLog(f"{len(numbers):,} rows, and {rows:,} rewards", where=name)
    if columns is not None and numbers.shape[1] != columns:
        raise BadLog(f"{numbers.shape[1]:,} columns, and {columns:,} actions of the policy", where=name)
    missing = int((~np.isfinite(numbers)).sum())
    if missing:
        raise BadLog(f"{missing:,} values are missing or infinite", where=name)
    return numbers


def _actions(action: Any, rows: int, count: int) -> Codes:
    numbers = as_numbers(action, "action", 1, rows)
    outside = numbers[(numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= count)]
    if len(outside):
        what = f"{outside[0]:g} is not a column of target, which has {count:,}"
        raise BadLog(what, where="action", todo="Number the actions from 0, in the order of target's columns.")
    return numbers.astype(np.int64)


def _refuse_improbable(propensity: Numbers, target: Numbers) -> None:
    wrong = propensity[(propensity <= 0) | (propensity > 1)]
    if len(wrong):
        what = f"{len(wrong):,} are not above 0 and at most 1, such as {wrong[0]:g}"
        todo = "Give the probability with which each logged action was chosen."
        raise BadLog(what, where="propensity", todo=todo)
    wrong = target[(target < 0) | (target > 1 + ROUNDING)]
    if len(wrong):
        raise BadLog(f"{len(wrong):,} probabilities are not in 0 to 1, such as {wrong[0]:g}", where="target")
    totals = target.sum(axis=1)
    wrong = totals[abs(totals - 1) > ROUNDING]
    if len(wrong):
        what = f"the probabilities of {len(wrong):,} rows do not add up to 1, but to {wrong[0]:.6g} and so on"
        raise BadLog(what, where="target", todo="Give every action of the policy a column.")
