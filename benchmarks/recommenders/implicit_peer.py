"""ALS and item-KNN next to `implicit` at equal quality: time to fit and to recommend ten items to everybody.

`python benchmarks/recommenders/implicit_peer.py [--rows 100000,1000000,3000000] [--threads 2]`, where `implicit` 0.7.3
is installed. Users have a taste: three quarters of their rows are of three of 40 groups of items, the rest of any;
within a group by Zipf's law; 20 rows a user and 50 rows an item. The last row of each user is held out and is to be
among ten items that the user did not have before (NDCG). Each ALS is fitted with 1 to 15 rounds: what is printed is the
fewest rounds that come within 1 % of the lower of both best NDCGs. Regularisation of `implicit` is the best of
REGULARISATIONS with 15 rounds, at the first size. Item-KNN has one setting in both: BM25, 200 neighbours, without
fading by age.

Each fit has a process of its own, so that the peak is its own. Seconds are wall clock / of the processor, all threads.
Patron starts from a frame of ids, `implicit` from a sparse matrix that is ready.
"""

import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from patron.recommenders import ALS, ItemKNN, Recommender, split

ROWS_A_USER, ROWS_AN_ITEM, GROUPS, GROUPS_A_USER = 20, 50, 40, 3
OF_TASTE = 3 / 4
DAYS, SECONDS_A_DAY = 365, 86_400
K, FACTORS, NEIGHBOURS, K1, B = 10, 64, 200, 1.2, 0.5
NEVER = 1e9
"""Days: as a half-life, nothing fades."""
ROUNDS = (1, 2, 3, 5, 8, 15)
REGULARISATIONS = (3.0, 10.0, 20.0, 40.0)
CLOSE = 0.99
"""Share of an NDCG that counts as equal."""
Lists = npt.NDArray[np.int64]
"""Users x K items."""


class Cost(NamedTuple):
    """Seconds of the clock and of the processor, the peak of memory in GB, and the quality that they bought."""

    fit: float
    fit_processor: float
    recommend: float
    recommend_processor: float
    peak: float
    ndcg: float


@dataclass(frozen=True)
class Job:
    """One fit: which library, which recommender, how many rounds and rows."""

    library: str
    model: str
    rows: int
    threads: int
    rounds: int = 0
    regularisation: float = 0.0


def made_tastes(rows: int, seed: int = 0) -> pa.Table:
    """Columns user_id, item_id, at; ids are whole numbers from 0."""
    rng = np.random.default_rng(seed)
    users, places = max(rows // ROWS_A_USER, 1), max(rows // ROWS_AN_ITEM // GROUPS, 1)
    user = np.concatenate([np.arange(users), rng.integers(0, users, rows - users)])
    tastes = rng.integers(0, GROUPS, (users, GROUPS_A_USER))
    is_taste = rng.random(rows) < OF_TASTE
    group = np.where(is_taste, tastes[user, rng.integers(0, GROUPS_A_USER, rows)], rng.integers(0, GROUPS, rows))
    share = 1 / np.arange(1, places + 1)
    place = np.searchsorted(np.cumsum(share / share.sum()), rng.random(rows)).clip(max=places - 1)
    seconds = rng.integers(0, DAYS * SECONDS_A_DAY, rows).astype(np.float64)
    return pa.table({"user_id": user, "item_id": place * GROUPS + group, "at": seconds})


def measure(job: Job) -> Cost:
    """Fit, recommend to everybody, and look for the rows that were held out."""
    train, test = split(made_tastes(job.rows), "leave-last")
    warm, _ = split(made_tastes(2_000), "leave-last")
    with threadpool_limits(1, user_api="blas"):  # as implicit asks for
        run = {"patron": run_patron, "implicit": run_implicit}[job.library]
        run(job, warm)  # compiled code is not what is measured
        users, lists, times = run(job, train)
    truth = np.full(int(users.max()) + 1, -1)
    truth[test["user_id"].to_numpy()] = test["item_id"].to_numpy()
    is_hit = lists == truth[users][:, None]
    ndcg = (is_hit / np.log2(np.arange(2, K + 2))).sum() / test.num_rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return Cost._make([*times, peak, float(ndcg)])


def timed(fit: Callable[[], Any], recommend: Callable[[Any], Any]) -> tuple[Any, tuple[float, ...]]:
    marks = [(time.perf_counter(), time.process_time())]
    fitted = fit()
    marks.append((time.perf_counter(), time.process_time()))
    lists = recommend(fitted)
    marks.append((time.perf_counter(), time.process_time()))
    return lists, tuple(
        after - before for one, other in pairwise(marks) for before, after in zip(one, other, strict=True)
    )


def run_patron(job: Job, train: pa.Table) -> tuple[Lists, Lists, tuple[float, ...]]:
    learners: Mapping[str, Recommender] = {
        "als": ALS(factors=FACTORS, rounds=max(job.rounds, 1)),
        "item_knn": ItemKNN(NEIGHBOURS, "bm25", NEVER, K1, B),
    }
    users = np.unique(train["user_id"].to_numpy())
    table, times = timed(
        lambda: learners[job.model].fit(train),
        lambda fitted: fitted.recommend(users, K),
    )
    return users, table["item_id"].to_numpy().reshape(len(users), K), times


def run_implicit(job: Job, train: pa.Table) -> tuple[Lists, Lists, tuple[float, ...]]:
    user, item = (train[name].to_numpy() for name in ("user_id", "item_id"))
    matrix = sp.csr_matrix((np.ones(len(user), dtype=np.float32), (user, item)))
    if job.model == "als":
        model = import_module("implicit.cpu.als").AlternatingLeastSquares(
            FACTORS,
            regularization=job.regularisation,
            alpha=1.0,
            iterations=max(job.rounds, 1),
            num_threads=job.threads,
            random_state=0,
        )
    else:
        model = import_module("implicit.nearest_neighbours").BM25Recommender(
            NEIGHBOURS, K1=K1, B=B, num_threads=job.threads
        )
    users = np.unique(user)
    warnings.simplefilter("ignore")  # it warns of a conversion inside itself

    def recommend(_: None) -> Lists:
        return model.recommend(users, matrix[users], N=K, filter_already_liked_items=True)[0]

    lists, times = timed(lambda: model.fit(matrix, show_progress=False), recommend)
    return users, lists, times


def in_own_process(job: Job) -> Cost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure, job).result()


def line(rows: int, name: str, settings: str, cost: Cost) -> str:
    cells = (
        f"{rows:,}",
        name,
        settings,
        f"{cost.fit:.1f} / {cost.fit_processor:.1f}",
        f"{cost.recommend:.1f} / {cost.recommend_processor:.1f}",
        f"{cost.peak:.1f}",
        f"{cost.ndcg:.4f}",
    )
    return "| " + " | ".join(cells) + " |"


def cheapest(costs: Mapping[int, Cost], enough: float) -> tuple[int, Cost]:
    """The fewest rounds with at least so high an NDCG."""
    return next((rounds, cost) for rounds, cost in sorted(costs.items()) if cost.ndcg >= enough)


def main(arguments: list[str]) -> None:
    settings = dict(pairwise(arguments))
    sizes = [int(one) for one in settings.get("--rows", "100000,1000000,3000000").split(",")]
    threads = int(settings.get("--threads", "2"))
    tried = {one: in_own_process(Job("implicit", "als", sizes[0], threads, 15, one)) for one in REGULARISATIONS}
    best = max(tried, key=lambda one: tried[one].ndcg)
    print(", ".join(f"regularisation {one:g}: {cost.ndcg:.4f}" for one, cost in tried.items()), flush=True)
    print("| rows | | setting | fit, s | recommend to all, s | peak, GB | NDCG |")
    print("|---" * 7 + "|")
    for rows in sizes:
        for library in ("patron", "implicit"):
            cost = in_own_process(Job(library, "item_knn", rows, threads))
            print(line(rows, f"item-KNN, {library}", "BM25", cost), flush=True)
        of_library = {
            library: {one: in_own_process(Job(library, "als", rows, threads, one, best)) for one in ROUNDS}
            for library in ("patron", "implicit")
        }
        enough = CLOSE * min(max(cost.ndcg for cost in costs.values()) for costs in of_library.values())
        for library, costs in of_library.items():
            rounds, cost = cheapest(costs, enough)
            print(line(rows, f"ALS, {library}", f"{rounds} rounds", cost), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
