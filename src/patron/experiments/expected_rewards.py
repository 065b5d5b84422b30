"""Expected reward of every action in every context, from rows other than the one that it is for.

A ridge regression in two steps: an effect of each action and slopes that all actions share, then what each action's
slopes are beyond that. The penalty counts rows that would say "no effect"; it is the one with the least squared error
on a part that is neither fitted to nor forecast. Everything comes from sums by part and action, so that rows are read
twice.
"""

import numpy as np
import numpy.typing as npt

from patron.experiments.decision_log import Codes, DecisionLog
from patron.schema.numbers import Numbers

Flags = npt.NDArray[np.bool_]
FOLDS = 5
PENALTIES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)


def expected_rewards(log: DecisionLog, context: Numbers, seed: int) -> Numbers:
    """Rows x actions, each row from the other parts, within the range of all rewards."""
    rows = np.column_stack([np.ones(len(context)), _z_scores(context)])
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    count = log.target.shape[1]
    squares, products = _sums(rows, log, fold, count)
    expected = np.empty((len(rows), count))
    for part in range(FOLDS):
        judge = (part + 1) % FOLDS
        fitted_to = np.ones(FOLDS, dtype=bool)
        fitted_to[[part, judge]] = False
        sums = squares[fitted_to].sum(axis=0), products[fitted_to].sum(axis=0)
        penalty = _best_penalty(*sums, rows, log, fold == judge)
        slopes = _slopes(sums[0] + squares[judge], sums[1] + products[judge], penalty)
        expected[fold == part] = rows[fold == part] @ slopes.T
    return np.clip(expected, log.reward.min(), log.reward.max())


def _z_scores(context: Numbers) -> Numbers:
    """Columns of mean 0 and standard deviation 1; one that never changes is 0."""
    deviation = context - context.mean(axis=0)
    spread = deviation.std(axis=0)
    return deviation / np.where(spread > 0, spread, 1.0)


def _sums(rows: Numbers, log: DecisionLog, fold: Codes, count: int) -> tuple[Numbers, Numbers]:
    """Parts x actions x columns (x columns): sums of products of the columns, and of columns and reward."""
    width = rows.shape[1]
    squares, products = np.zeros((FOLDS, count, width, width)), np.zeros((FOLDS, count, width))
    order = np.lexsort((log.action, fold))
    group = fold[order] * count + log.action[order]
    for places in np.split(order, np.flatnonzero(np.diff(group)) + 1):
        part = fold[places[0]]
        action = log.action[places[0]]
        columns = rows[places]
        squares[part, action] = columns.T @ columns
        products[part, action] = columns.T @ log.reward[places]
    return squares, products


def _best_penalty(squares: Numbers, products: Numbers, rows: Numbers, log: DecisionLog, judged: Flags) -> float:
    def error(penalty: float) -> float:
        slopes = _slopes(squares, products, penalty)[log.action[judged]]
        return float(((log.reward[judged] - np.einsum("ij,ij->i", rows[judged], slopes)) ** 2).sum())

    return min(PENALTIES, key=error)


def _slopes(squares: Numbers, products: Numbers, penalty: float) -> Numbers:
    """Actions x (intercept and slopes)."""
    width = squares.shape[1]
    counts, sums = squares[:, 0, 0], squares[:, 0, 1:]
    mean = products[:, 0].sum() / counts.sum()
    effect = products[:, 0] - mean * counts
    shrunk = counts + penalty
    inner = squares[:, 1:, 1:].sum(axis=0) + penalty * np.eye(width - 1) - sums.T @ (sums / shrunk[:, None])
    shared = np.linalg.solve(inner, products[:, 1:].sum(axis=0) - mean * sums.sum(axis=0) - sums.T @ (effect / shrunk))
    slopes = np.column_stack([mean + (effect - sums @ shared) / shrunk, np.tile(shared, (len(counts), 1))])
    residual = products - np.einsum("aij,aj->ai", squares, slopes)
    return slopes + np.linalg.solve(squares + penalty * np.eye(width), residual[..., None])[..., 0]
