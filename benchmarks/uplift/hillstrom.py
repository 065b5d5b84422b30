"""`patron.uplift` on Hillstrom's e-mail trial: the default's choice, its numbers next to others, and the refusals.

`python benchmarks/uplift/hillstrom.py FOLDER [choice | protocol | policies]` of `hillstrom.parquet` (64,000 customers).
`choice`: learners on halves of the training halves, from which DEFAULT was chosen; no test half is looked at.
`protocol`: women's e-mail against none, outcome visit, 50/50 splits stratified by arm and outcome, seeds 0 to 9.
`policies`: men's e-mail against none, and all three arms, with the sentences that the product prints.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patron.uplift import (
    DEFAULT,
    DRLearner,
    EffectLearner,
    LightGBM,
    Linear,
    RLearner,
    SLearner,
    TLearner,
    XLearner,
    auuc,
    choose_policy,
    policy_value,
    qini,
    uplift_at,
)

NONE, WOMENS, MENS = "No E-Mail", "Womens E-Mail", "Mens E-Mail"
SEEDS = range(10)
INNER = range(2)
"""Splits of each training half."""
BOOSTED = LightGBM(threads=1)
CANDIDATES: Mapping[str, EffectLearner] = {
    "S linear": SLearner(),
    "T linear": TLearner(),
    "X linear": XLearner(),
    "R linear": RLearner(),
    "DR linear": DRLearner(),
    "S LightGBM": SLearner(BOOSTED),
    "T LightGBM": TLearner(BOOSTED),
    "DR linear, LightGBM final": DRLearner(Linear(), BOOSTED),
}
Rows = npt.NDArray[np.int64]


def halves(table: pa.Table, seed: int) -> tuple[pa.Table, pa.Table]:
    """Two halves of the rows, stratified by arm and outcome."""
    rng = np.random.default_rng(seed)
    kinds = np.char.add(np.asarray(table["segment"]).astype(str), np.asarray(table["visit"]).astype(str))
    first = np.zeros(len(kinds), dtype=bool)
    for kind in np.unique(kinds):
        rows = rng.permutation(np.flatnonzero(kinds == kind))
        first[rows[: len(rows) // 2]] = True
    return table.filter(pa.array(first)), table.filter(pa.array(~first))


def of_arms(table: pa.Table, *arms: str) -> pa.Table:
    """Rows of some arms, without the outcomes that are not asked about."""
    return table.filter(pc.is_in(table["segment"], value_set=pa.array(arms))).drop(["conversion", "spend"])


def measures(score: npt.NDArray[np.float64], test: pa.Table) -> tuple[float, float, float]:
    """Qini, AUUC and uplift at 30 % of a ranking."""
    rows = (np.asarray(test["visit"]), score, np.asarray(test["segment"]), NONE)
    return qini(*rows).value, auuc(*rows).value, uplift_at(*rows).value


def scores_of(learner: EffectLearner, train: pa.Table, test: pa.Table) -> npt.NDArray[np.float64]:
    """Estimated effects of the women's e-mail; only the estimate, so that no replicates are fitted."""
    fitted = learner.fit(train, treatment="segment", control=NONE, outcome="visit", propensity={NONE: 0.5})
    return fitted.effect_matrix(test)[:, 0]


def show(name: str, values: list[tuple[float, float, float]]) -> None:
    """Mean over the splits, and the standard deviation of one."""
    rows = np.array(values)
    text = "  ".join(f"{mean:.5f} +/- {sd:.4f}" for mean, sd in zip(rows.mean(axis=0), rows.std(axis=0), strict=True))
    sys.stdout.write(f"{name:28} {text}\n")


def choice(table: pa.Table) -> None:
    """Learners on inner splits of the training halves."""
    rows = of_arms(table, NONE, WOMENS)
    values: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CANDIDATES}
    for seed in SEEDS:
        train, _ = halves(rows, seed)
        for inner in INNER:
            learned, judged = halves(train, 100 + inner)
            for name, learner in CANDIDATES.items():
                values[name].append(measures(scores_of(learner, learned, judged), judged))
    for name, one in values.items():
        show(name, one)


def protocol(table: pa.Table) -> None:
    """The default next to T-logistic, response ranking and T-LightGBM on the test halves."""
    rows = of_arms(table, NONE, WOMENS)
    ranked: Mapping[str, Callable[[pa.Table, pa.Table], npt.NDArray[np.float64]]] = {
        "DEFAULT": lambda train, test: scores_of(DEFAULT, train, test),
        "T linear (logistic)": lambda train, test: scores_of(TLearner(), train, test),
        "T LightGBM": lambda train, test: scores_of(TLearner(BOOSTED), train, test),
        "response": _response,
    }
    values: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ranked}
    for seed in SEEDS:
        train, test = halves(rows, seed)
        for name, score in ranked.items():
            values[name].append(measures(score(train, test), test))
    for name, one in values.items():
        show(name, one)
    gap = np.array(values["DEFAULT"]) - np.array(values["T linear (logistic)"])
    show("DEFAULT - T linear", [tuple(row) for row in gap])


def _response(train: pa.Table, test: pa.Table) -> npt.NDArray[np.float64]:
    fitted = DEFAULT.fit(train, treatment="segment", control=NONE, outcome="visit", propensity={NONE: 0.5})
    return fitted.response(test)


def policies(table: pa.Table) -> None:
    """What `choose_policy` says, and what policies are worth on rows that neither fit nor choice has used."""
    for arms, costs in (
        ((NONE, MENS), (0.0, 0.06)),
        ((NONE, WOMENS), (0.0, 0.04)),
        ((NONE, MENS, WOMENS), (0.0, 0.06)),
    ):
        rows = of_arms(table, *arms)
        known = dict.fromkeys(arms, 1 / len(arms))
        for cost in costs:
            worth = []
            for seed in SEEDS:
                train, test = halves(rows, seed)
                learned, judged = halves(train, 100)
                fitted = DEFAULT.fit(learned, treatment="segment", control=NONE, outcome="visit", propensity=known)
                prices = dict.fromkeys(fitted.offers, cost)
                policy = choose_policy(
                    fitted, judged, treatment="segment", control=NONE, outcome="visit", cost=prices, seed=seed
                )
                argmax = np.array(fitted.arms)[1 + fitted.effect_matrix(test).argmax(axis=1)]
                first = arms[1]
                value = [_value(test, one) for one in (policy.decide(test), np.full(test.num_rows, first), argmax)]
                worth.append((*value, float(policy.kind == "uplift")))
                if not seed:
                    sys.stdout.write(f"{' / '.join(arms)}, cost {cost}: {policy.kind}\n  {policy.reason}\n")
            mean = np.mean(worth, axis=0)
            sys.stdout.write(f"  visits a customer: policy {mean[0]:.4f}, {arms[1]} to all {mean[1]:.4f}, ")
            sys.stdout.write(f"largest effect {mean[2]:.4f} (SE of one half {_error(halves(rows, 0)[1]):.4f}); ")
            sys.stdout.write(f"uplift used in {mean[3]:.0%} of the seeds\n")


def _value(test: pa.Table, decision: npt.NDArray[np.str_]) -> float:
    return policy_value(np.asarray(test["visit"]), decision, np.asarray(test["segment"]), control=NONE).value


def _error(test: pa.Table) -> float:
    visits = np.asarray(test["visit"])[np.asarray(test["segment"]) != NONE]
    return float(visits.std() / np.sqrt(len(visits) / len(set(np.asarray(test["segment"])) - {NONE})))


def main(folder: str) -> None:
    """Choice, protocol and policies, or those that are named."""
    table = pq.read_table(Path(folder) / "hillstrom.parquet")
    for part in sys.argv[2:] or ("choice", "protocol", "policies"):
        {"choice": choice, "protocol": protocol, "policies": policies}[part](table)


if __name__ == "__main__":
    main(sys.argv[1])
