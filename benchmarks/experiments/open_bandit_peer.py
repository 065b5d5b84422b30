"""`patron.experiments.off_policy` next to what obp's quickstart prints on the small Open Bandit data.

`python benchmarks/experiments/open_bandit_peer.py FOLDER` of `obd_small.parquet`, `obd_item_context.parquet` and
`open_bandit_prior.csv`: a header, then alpha and beta of each item of campaign "all", from obp's `prior_bts.yaml`.
Printed by obp 0.5.4 (examples/quickstart/obd.ipynb): Bernoulli Thompson sampling judged from the random policy's log of
campaign "all". The policy's probabilities are 100,000 draws from the beta distributions of the shop's own policy;
expected rewards are obp's: a logistic regression for each position on the user's and the item's features, three parts.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from patron.experiments import OffPolicyValue, off_policy
from patron.schema.numbers import Numbers

PRINTED = {"ips": 0.004553, "dm": 0.003545, "dr": 0.004727}
SIMULATIONS, PARTS, SEED = 100_000, 3, 12345


def policy(folder: Path, positions: int) -> Numbers:
    """Positions x items: how often each item has the best, second best ... draw of its clicks."""
    prior = np.loadtxt(folder / "open_bandit_prior.csv", delimiter=",", skiprows=1)
    random = np.random.RandomState(SEED)
    counts = np.zeros((positions, len(prior)))
    for _ in range(SIMULATIONS):
        best = random.beta(*prior.T).argsort()[::-1][:positions]
        counts[np.arange(positions), best] += 1
    return counts / SIMULATIONS


def expected_clicks(log: pd.DataFrame, items: pd.DataFrame, position: np.ndarray) -> Numbers:
    """Rows x items, each row from the parts that it is not in."""
    users = pd.get_dummies(log.filter(like="user_feature"), drop_first=True).to_numpy(dtype=np.float64)
    texts = items[["item_feature_1", "item_feature_2", "item_feature_3"]]
    codes = [np.unique(texts[name], return_inverse=True)[1] for name in texts]
    features = np.column_stack([*codes, items["item_feature_0"]])
    item, click = log["item_id"].to_numpy(), log["click"].to_numpy()
    expected = np.empty((len(log), len(items)))
    for fitted_to, judged in KFold(PARTS, shuffle=True, random_state=SEED).split(users):
        for place in np.unique(position):
            rows = fitted_to[position[fitted_to] == place]
            model = LogisticRegression(random_state=SEED, max_iter=1000)
            model.fit(np.column_stack([users[rows], features[item[rows]]]), click[rows])
            others = judged[position[judged] == place]
            for number, columns in enumerate(features):
                context = np.column_stack([users[others], np.tile(columns, (len(others), 1))])
                expected[others, number] = model.predict_proba(context)[:, 1]
    return expected


def judge(folder: Path) -> OffPolicyValue:
    """Bernoulli Thompson sampling from the random policy's log."""
    table = pd.read_parquet(folder / "obd_small.parquet")
    log = table.query("policy == 'random' and campaign == 'all'").sort_values("timestamp")
    items = pd.read_parquet(folder / "obd_item_context.parquet").query("campaign == 'all'").sort_values("item_id")
    position = log["position"].to_numpy() - log["position"].min()
    return off_policy(
        log["click"],
        log["item_id"],
        log["propensity_score"],
        policy(folder, int(position.max()) + 1)[position],
        expected_clicks(log, items, position),
    )


def main(folder: str) -> None:
    for row in judge(Path(folder)).rows:
        printed = f"  obp prints {PRINTED[row.estimator]:.6f}" if row.estimator in PRINTED else ""
        print(f"{row.estimator:10} {row.value:.6f} [{row.low:.6f}, {row.high:.6f}]{printed}")


if __name__ == "__main__":
    main(sys.argv[1])
