"""`patron.experiments.off_policy` on simulated logs, and on Open Bandit next to published errors.

`python benchmarks/experiments/off_policy.py FOLDER` of `obd_small.parquet`: 10,000 rows of each of three campaigns
from the random and the Bernoulli Thompson sampling (BTS) policy. Each policy is judged from the other's log, next to
what its log earned. The random policy is known; BTS changed while it ran, so that its mean probabilities are the shares
of its log's rows by position. Published errors are of another, larger sample.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patron.experiments import off_policy
from patron.schema.numbers import Numbers

CAMPAIGNS = ("all", "men", "women")
RESAMPLES = 30
"""As many as behind the published errors."""
PUBLISHED = {
    "dm": 0.157,
    "ips": 0.311,
    "snips": 0.312,
    "dr": 0.292,
    "shrinkage": 0.160,
}
"""Relative errors of obp: BTS judged from the random log of "all", the full sample, logistic regression."""
DRAWS = 1_000
ACTIONS, COLUMNS = 10, 5
SCENARIOS = ((300, 1.0, 0.05), (1_000, 1.0, 0.05), (1_000, 3.0, 0.05), (1_000, 3.0, 0.3), (1_000, 2.0, 0.3, -0.5))
"""Rows, how sharply the judged policy follows the best action, clicks, and how sharply the log does: below 0, away."""


@dataclass(frozen=True)
class Log:
    """What one policy did in one campaign."""

    reward: Numbers
    action: np.ndarray
    propensity: Numbers
    position: np.ndarray
    context: Numbers

    def take(self, rows: np.ndarray) -> "Log":
        parts = (self.reward, self.action, self.propensity, self.position, self.context)
        return Log(*(part[rows] for part in parts))


def read(table: pa.Table, policy: str, campaign: str, users: Mapping[str, pa.Array]) -> Log:
    rows = table.filter(pc.and_(pc.equal(table["policy"], policy), pc.equal(table["campaign"], campaign)))
    positions = np.unique(table["position"].to_numpy())
    position = np.searchsorted(positions, rows["position"].to_numpy())
    one_hot = [np.eye(len(positions))[position]]
    for name, values in users.items():
        one_hot.append(np.eye(len(values))[pc.index_in(rows[name], values).to_numpy()])
    return Log(
        rows["click"].to_numpy().astype(np.float64),
        rows["item_id"].to_numpy(),
        rows["propensity_score"].to_numpy(),
        position,
        np.column_stack(one_hot),
    )


def probabilities(log: Log, items: int) -> Numbers:
    """Positions x items of the policy that wrote a log: what it states, or the shares of its rows where that changes.

    BTS learned while it ran: what its log states for one item ranges over 8.6 times the mean. The mean of what is
    stated for the rows of an item is no estimate of the mean over all rows, because the item is chosen when it is high.
    """
    if np.ptp(log.propensity) == 0:
        return np.full((int(log.position.max()) + 1, items), log.propensity[0])
    counts = np.zeros((int(log.position.max()) + 1, items))
    np.add.at(counts, (log.position, log.action), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def judge(log: Log, other: Log, items: int, name: str) -> None:
    """Judge the policy of `other` from `log`."""
    table = probabilities(other, items)
    judged = off_policy(log.reward, log.action, log.propensity, table[log.position], context=log.context)
    actual = other.reward.mean()
    error = other.reward.std(ddof=1) / np.sqrt(len(other.reward))
    print(
        f"\n{name}: its log earned {actual:.5f} [{actual - 1.96 * error:.5f}, {actual + 1.96 * error:.5f}], "
        f"the judged log {judged.logged.value:.5f}; gain {judged.gain.value:+.5f} "
        f"[{judged.gain.low:+.5f}, {judged.gain.high:+.5f}] against {actual - judged.logged.value:+.5f}"
    )
    errors: dict[str, list[float]] = {row.estimator: [] for row in judged.rows}
    for seed in range(RESAMPLES):
        part = log.take(np.random.default_rng(seed).integers(0, len(log.reward), len(log.reward)))
        again = off_policy(
            part.reward, part.action, part.propensity, table[part.position], context=part.context, seed=seed
        )
        for row in again.rows:
            errors[row.estimator].append(abs(row.value / actual - 1))
    for row in judged.rows:
        mean, low, high = np.mean(errors[row.estimator]), *np.quantile(errors[row.estimator], [0.025, 0.975])
        published = PUBLISHED.get(row.estimator) if name == "BTS from random, all" else None
        print(
            f"  {row.estimator:30} {row.value:.5f} [{row.low:.5f}, {row.high:.5f}]  relative error "
            f"{abs(row.value / actual - 1):.3f}, resampled {mean:.3f} [{low:.3f}, {high:.3f}]"
            f"{'' if published is None else f'  published {published:.3f}'}"
            f"  rows worth {row.effective_sample_size:,.0f}  clipped {row.share_clipped:.1%}"
        )
    for finding in judged.findings:
        print(f"  - {finding}")


def softmax(scores: Numbers) -> Numbers:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def simulate(rows: int, sharpness: float, click_rate: float, logged_sharpness: float = 0.3) -> None:
    """Coverage and errors where the truth is known: a policy that follows the best action more or less sharply."""
    effects = np.random.default_rng(12345).standard_normal((COLUMNS, ACTIONS))

    def world(rng: np.random.Generator, count: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        context = rng.standard_normal((count, COLUMNS))
        scores = context @ effects / np.sqrt(COLUMNS)
        odds = click_rate / (1 - click_rate) * np.exp(scores)
        return context, softmax(logged_sharpness * scores), softmax(sharpness * scores), odds / (1 + odds)

    _, _, target, mean = world(np.random.default_rng(1), 400_000)
    truth = float((target * mean).sum(axis=1).mean())
    covered: dict[str, list[bool]] = {}
    errors: dict[str, list[float]] = {}
    widths: dict[str, list[float]] = {}
    has_finding: list[bool] = []
    for seed in range(DRAWS):
        rng = np.random.default_rng([seed, rows])
        context, logged, target, mean = world(rng, rows)
        action = (logged.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=ACTIONS - 1)
        place = np.arange(rows)
        reward = (rng.random(rows) < mean[place, action]).astype(np.float64)
        judged = off_policy(reward, action, logged[place, action], target, context=context, seed=seed)
        has_finding.append(bool(judged.findings))
        for row in judged.rows:
            covered.setdefault(row.estimator, []).append(row.low <= truth <= row.high)
            errors.setdefault(row.estimator, []).append(row.value - truth)
            widths.setdefault(row.estimator, []).append(row.high - row.low)
    policies = f"sharpness {logged_sharpness:g} to {sharpness:g}"
    print(f"\n{rows:,} rows, clicks of about {click_rate:.1%}, {policies}: true value {truth:.5f}")
    is_covered, with_finding = np.array(covered["sndr"]), np.array(has_finding)
    print(
        f"  findings in {with_finding.mean():.1%}; default covered {is_covered[with_finding].mean():.3f} with one, "
        f"{is_covered[~with_finding].mean():.3f} without"
    )
    for name, differences in errors.items():
        print(
            f"  {name:30} covered {np.mean(covered[name]):.3f}  relative RMSE "
            f"{np.sqrt(np.mean(np.square(differences))) / truth:.3f}  bias {np.mean(differences) / truth:+.3f}"
            f"  width {np.mean(widths[name]) / truth:.3f}"
        )


def main(folder: str) -> None:
    print(f"Simulated logs, {DRAWS:,} each, {ACTIONS} actions, {COLUMNS} columns of context")
    for rows, *policies in SCENARIOS:
        since = time.perf_counter()
        simulate(int(rows), *policies)
        print(f"  {time.perf_counter() - since:.0f} s", flush=True)
    print(f"\nOpen Bandit, 10,000 rows a log, {RESAMPLES} resamples of the judged log")
    table = pq.read_table(Path(folder) / "obd_small.parquet")
    users = {
        name: table[name].combine_chunks().unique() for name in table.column_names if name.startswith("user_feature")
    }
    for campaign in CAMPAIGNS:
        random, bts = (read(table, policy, campaign, users) for policy in ("random", "bts"))
        items = int(max(random.action.max(), bts.action.max())) + 1
        since = time.perf_counter()
        judge(random, bts, items, f"BTS from random, {campaign}")
        judge(bts, random, items, f"random from BTS, {campaign}")
        print(f"  {time.perf_counter() - since:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
