"""Does a year of monthly runs earn more than no offers, than random offers for the same money, and than other code?

Worlds of a seed differ only by what is offered: ours (the real run, from history to outbox), nothing, random offers for
as much money as ours spent in the same month, and what truly earns most within the budget of each month, for anybody.
Ids follow from the seed, so that rows reproduce. `--source` runs ours with another checkout of the product; the
simulator and the count of money are always those of this one. The policy never reads the truth; the true effect of what
was offered stands next to what the last run measured.

    python benchmarks/loop/year_of_runs.py --results year.jsonl                    # seeds that are not there yet
    python benchmarks/loop/year_of_runs.py --results base.jsonl --source ../base --seeds 0-9
    python benchmarks/loop/year_of_runs.py --results all.jsonl --everyone          # not only who is at risk or lapsed
    python benchmarks/loop/year_of_runs.py --results year.jsonl --table --other base.jsonl
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from year_of_worlds import (
    HISTORY_DAYS,
    MONTH_DAYS,
    MONTHS,
    best_for_the_money,
    opened_world,
    random_for_the_money,
    with_offers,
    without_offers,
)

from patron.commands.data.simulated_loop import OFFERS
from patron.simulate import simulator_settings
from patron.simulate.simulator_settings import SimulatorSettings

HERE = Path(__file__).parent
MINUTES = 60
"""Longest time of the whole study in `make bench`."""
SEEDS, PROCESSES, CUSTOMERS = "0-19", 2, 3_000
BUDGET_CENTS_PER_CUSTOMER = 18
"""Budget of a month, cents for each customer of the opening: about what the loop spent without a binding budget."""
CONTACT_CENTS = 5
"""Cost of sending an offer in the rules of the simulated shop."""
COLUMNS = (
    "seed",
    "none",
    "ours - none",
    "ours - random",
    "ours - other",
    "of the best",
    "offers",
    "spent",
    "most of a month's budget",
    "measured effect of an offer",
    "truth, first decisions",
    "truth, all",
)
Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What is played for each seed."""

    shop: str
    """Name of the shop in simulator_settings."""
    customers: int
    source: Path
    """Folder of the product's code."""
    is_for_everyone: bool = False
    """Whether customers of all lifecycle stages are considered, and not only who is at risk or lapsed."""

    @property
    def settings(self) -> SimulatorSettings:
        """The simulated shop."""
        return replace(getattr(simulator_settings, self.shop), customers=self.customers)

    @property
    def budget_cents(self) -> int:
        """Budget of a month."""
        return self.customers * BUDGET_CENTS_PER_CUSTOMER


def decisions_of_ours(seed: int, study: Study, folder: Path) -> tuple[pa.Table, Row]:
    """Decisions and facts of the world 'ours', by the product's code of the study."""
    shop = {
        "shop": study.shop,
        "customers": study.customers,
        "history_days": HISTORY_DAYS,
        "budget_cents": study.budget_cents,
        "is_for_everyone": study.is_for_everyone,
    }
    command = [sys.executable, str(HERE / "year_of_ours.py"), str(folder), str(seed), json.dumps(shop)]
    env = {**os.environ, "PYTHONPATH": str(study.source), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)  # noqa: S603 - our script
    return pq.read_table(folder / "decisions.parquet"), json.loads((folder / "facts.json").read_text(encoding="utf-8"))


def offers_by_month(decisions: pa.Table, settings: SimulatorSettings) -> list[pa.Table]:
    """The offers that reached customers, as the simulator takes them, for each month."""
    start = datetime.combine(settings.start, datetime.min.time(), UTC) + timedelta(days=HISTORY_DAYS)
    tables = []
    for month in range(MONTHS):
        rows = decisions.filter(pc.and_(pc.equal(decisions["month"], month), pc.is_valid(decisions["user_id"])))
        exposed = pa.array([start + timedelta(days=MONTH_DAYS * month)] * len(rows), OFFERS.field("exposed_at").type)
        columns = [rows["user_id"], rows["action"], rows["decision_id"], exposed]
        tables.append(pa.table(columns, schema=OFFERS))
    return tables


def play(seed: int, study: Study) -> Row:
    """All worlds of a seed, as one line of the results."""
    started = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        decisions, facts = decisions_of_ours(seed, study, Path(place))
    settings = study.settings
    offers = offers_by_month(decisions, settings)
    ours, months, uplifts = with_offers(opened_world(settings, seed)[0], offers)
    nothing = without_offers(opened_world(settings, seed)[0])
    random = random_for_the_money(*opened_world(settings, seed), months, seed)
    best = best_for_the_money(opened_world(settings, seed)[0], study.budget_cents)
    return {
        "seed": seed,
        "shop": study.shop,
        "customers": study.customers,
        "budget_cents": study.budget_cents,
        "is_for_everyone": study.is_for_everyone,
        **{
            f"{name}_cents": one.profit_cents
            for name, one in (("ours", ours), ("none", nothing), ("random", random), ("best", best))
        },
        **{f"{name}_offers": one.offered for name, one in (("ours", ours), ("random", random), ("best", best))},
        "spent_cents": ours.spent_cents,
        "random_spent_cents": random.spent_cents,
        "expected_spend_cents": expected_spend(decisions),
        "effects": facts["effects"],
        **true_effects(decisions, offers, uplifts),
        "seconds_by_step": {name: round(value, 1) for name, value in facts["seconds_by_step"].items()},
        "seconds_of_ours": facts["processor_seconds"],
        "seconds_of_worlds": time.process_time() - started,
    }


def expected_spend(decisions: pa.Table) -> list[float]:
    """What the offers of each month were expected to cost when they were decided, cents."""
    month, cost = decisions["month"].to_numpy(), decisions["cost_cents"].to_numpy()
    return np.bincount(month, weights=cost, minlength=MONTHS).tolist()


def true_effects(decisions: pa.Table, offers: list[pa.Table], uplifts: list[np.ndarray]) -> Row:
    """True uplift of an offer, mean in cents: of all, and of those at the first decision about a customer."""
    rows = pa.concat_tables(offers)
    first = decisions.sort_by([("month", "ascending")]).group_by("customer_id", use_threads=False)
    first_ids = first.aggregate([("decision_id", "first")])["decision_id_first"].combine_chunks()
    is_first = pc.is_in(rows["decision_id"], first_ids).to_numpy()
    every = np.concatenate(uplifts)
    by_offer = {
        offer: float(every[pc.equal(rows["offer_id"], offer).to_numpy()].mean())
        for offer in sorted(set(rows["offer_id"].to_pylist()))
    }
    return {
        "true_uplift_cents": float(every.mean()) if len(every) else 0.0,
        "true_uplift_of_first_cents": float(every[is_first].mean()) if is_first.any() else 0.0,
        "true_uplift_by_offer_cents": by_offer,
    }


def read_results(path: Path) -> dict[int, Row]:
    """Lines of results by seed."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["seed"]: line for line in lines}


def comparison(name: str, gains: np.ndarray) -> str:
    """Mean paired difference in dollars, its standard error, their ratio, and in how many seeds it is below zero."""
    mean, error = gains.mean() / 100, gains.std(ddof=1) / np.sqrt(len(gains)) / 100
    losing = int((gains < 0).sum())
    return (
        f"ours - {name}: {mean:+,.0f} dollars, standard error {error:,.0f}, ratio {mean / error:+.1f};"
        f" below zero in {losing} of {len(gains)} seeds"
    )


def any_effect(row: Row) -> tuple[float, float, float] | None:
    """The last run's effect of any offer over all, and its interval; None where nothing was measured.

    After what order lines do not show, such as waived shipping, but before sending, as the truth is.
    """
    rows = [effect for effect in row["effects"] if effect["offer"] == "any" and not effect["is_placebo"]]
    if not rows:
        return None
    one = rows[0]
    unseen = one["net_cents"] - one["adjusted_cents"] + CONTACT_CENTS if one.get("net_cents") is not None else 0.0
    return one["effect_cents"] + unseen, one["low"] + unseen, one["high"] + unseen


def print_table(results: dict[int, Row], other: dict[int, Row]) -> None:
    """Print a row for each seed, and what they come to."""
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|{'---|' * len(COLUMNS)}")
    for seed, row in sorted(results.items()):
        gains = [row["ours_cents"] - row[f"{name}_cents"] for name in ("none", "random")]
        of_other = f"{(row['ours_cents'] - other[seed]['ours_cents']) / 100:+,.0f}" if seed in other else ""
        of_best = f"{gains[0] / (row['best_cents'] - row['none_cents']):.0%}" if "best_cents" in row else ""
        effect = any_effect(row)
        measured = "none" if effect is None else "{:+.0f} [{:+.0f}, {:+.0f}]".format(*effect)
        share = max(row["expected_spend_cents"]) / row["budget_cents"]
        print(
            f"| {seed} | {row['none_cents'] / 100:,.0f} | {gains[0] / 100:+,.0f} | {gains[1] / 100:+,.0f} | {of_other}"
            f" | {of_best} | {row['ours_offers']:,} | {sum(row['spent_cents']) / 100:,.0f} | {share:.0%} | {measured}"
            f" | {row['true_uplift_of_first_cents']:+.0f} | {row['true_uplift_cents']:+.0f} |"
        )
    rows = list(results.values())
    if len(rows) > 1:
        ours = np.array([row["ours_cents"] for row in rows])
        for name in ("none", "random"):
            print(comparison(name, ours - np.array([row[f"{name}_cents"] for row in rows])))
    with_best = [row for row in rows if "best_cents" in row]
    if with_best:
        gained, possible = (
            np.array([row[f"{name}_cents"] - row["none_cents"] for row in with_best]) for name in ("ours", "best")
        )
        print(
            f"the truth, within each month's budget, earns {possible.mean() / 100:+,.0f} dollars more than none;",
            end=" ",
        )
        print(f"ours earns {gained.sum() / possible.sum():.1%} of it")
    pairs = [(results[seed], other[seed]) for seed in sorted(results.keys() & other.keys())]
    if len(pairs) > 1:
        print(comparison("other code", np.array([one["ours_cents"] - two["ours_cents"] for one, two in pairs])))
    effects = [(row, effect) for row in rows if (effect := any_effect(row))]
    for name in ("true_uplift_of_first_cents", "true_uplift_cents"):
        covered = sum(low <= row[name] <= high for row, (_, low, high) in effects)
        print(f"the 95 % interval of any offer's effect covers {name} in {covered} of {len(effects)} seeds")
    within = sum(max(row["expected_spend_cents"]) <= row["budget_cents"] + 0.5 for row in rows)
    seconds = [row["seconds_of_ours"] + row["seconds_of_worlds"] for row in rows]
    print(f"expected spend within the budget in every month of {within} of {len(rows)} seeds")
    print(f"{np.mean(seconds) if seconds else 0:.0f} processor seconds a seed")


def run_seeds(seeds: list[int], study: Study, results: Path, processes: int) -> None:
    """Play the seeds that are not in the results yet; each is written when it is over."""
    missing = [seed for seed in seeds if seed not in read_results(results)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for row in pool.imap_unordered(partial(play, study=study), missing, chunksize=1):
            with results.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
            gain = (row["ours_cents"] - row["none_cents"]) / 100
            print(f"seed {row['seed']}: ours - none {gain:+,.0f}, {row['seconds_of_ours']:.0f} s", file=sys.stderr)


def parse_seeds(text: str) -> list[int]:
    """Seeds of a text such as 0-9 or 3,5."""
    parts = [part.split("-") for part in text.split(",")]
    return [seed for part in parts for seed in range(int(part[0]), int(part[-1]) + 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="file of results, one line a seed; its seeds are not played again")
    parser.add_argument("--seeds", default=SEEDS, help="such as 0-19 or 3,5")
    parser.add_argument("--source", type=Path, default=HERE.parents[1], help="checkout whose code ours runs with")
    parser.add_argument("--shop", default="DEFAULT_SHOP", help="or CATALOGUE_SHOP, with six offers")
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="customers of the opening")
    parser.add_argument("--everyone", action="store_true", help="consider customers of all lifecycle stages")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--other", type=Path, help="results of other code to compare with")
    parser.add_argument("--table", action="store_true", help="print what is in the results, play nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        results = options.results or Path(place) / "year.jsonl"
        if not options.table:
            study = Study(options.shop, options.customers, options.source.resolve() / "src", options.everyone)
            run_seeds(parse_seeds(options.seeds), study, results, options.processes)
        print_table(read_results(results), read_results(options.other) if options.other else {})


if __name__ == "__main__":
    main()
