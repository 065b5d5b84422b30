"""Whether the first reason of customers who leave for a planted cause is that cause, in the simulated shop.

Usage: python benchmarks/predict/planted_reasons.py [CUSTOMERS]. A tenth of the customers leave after a bad delivery
(the order and its replacement are sent back), a tenth after a one-star review, a tenth slow down and leave; others
leave by chance, as in the default shop. Fixed before any was measured: a customer counts at a cutoff where the cause
can be seen already and who leaves in the next 14 days or has left in the last 14; who has no reason is missed. Of
slowing down, a later order, fewer orders and fewer visits all speak. Printed too: of those whom the forecast finds
likely to leave, as nobody else is given a reason. The baseline names the most common code of
everybody for everybody.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from patron import predict, understand
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.estimators.bootstrap import Interval
from patron.estimators.learner import FORECAST
from patron.govern.vault import Vault
from patron.predict import scoring
from patron.predict.churn.churn_reasons import is_likely_to_leave, reason_rows
from patron.predict.explanation import explain
from patron.predict.probability_learners import BoostedProbability
from patron.run import build_run_cutoffs, stage_view
from patron.schema.models.questions import CHURN
from patron.schema.models.reason_codes import REASON_CODES
from patron.schema.numbers import float_column
from patron.simulate.ground_truth import truth
from patron.simulate.leaving_causes import CAUSES, EVIDENCE_DAYS
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts
from patron.understand.features import build_features

CODES: Mapping[str, frozenset[str]] = {
    "bad_delivery": frozenset({"returns"}),
    "bad_review": frozenset({"bad_review"}),
    "slowing": frozenset({"overdue", "fewer_orders", "no_visit"}),
}
FIRST_DAY, EVERY_DAYS, CUTOFFS = 300, 30, 4
AROUND_DAYS = 14
"""Days before and after the day of leaving in which a customer counts."""


@dataclass(frozen=True)
class Driven:
    """A customer whom a planted cause drives away about a cutoff, and the first reason there."""

    customer_id: str
    cause: str
    first_code: str | None
    is_likely: bool
    """Whether the forecast finds the customer likely to leave."""

    @property
    def is_hit(self) -> bool:
        """Whether the first reason is the planted cause."""
        return self.first_code in CODES[self.cause]


def main(customers: int = 5_000) -> None:
    """Measure and print."""
    driven, common = measure(customers)
    print(f"first reason of everybody likely to leave: {common.most_common()}")
    show("all", driven, common)
    show("all likely to leave", [one for one in driven if one.is_likely], common)
    for cause in CAUSES:
        rows = [one for one in driven if one.cause == cause]
        show(cause, rows, common)
        show(f"{cause}, likely to leave", [row for row in rows if row.is_likely], common)
        print(f"    first reasons: {Counter(row.first_code for row in rows).most_common(5)}")


def measure(customers: int, *, cutoffs: int = CUTOFFS, seed: int = 1) -> tuple[list[Driven], Counter[str]]:
    """Driven customers at each cutoff, and how often each code is the first reason of anybody."""
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=customers, leaving_cause_shares=(0.1, 0.1, 0.1)), seed)
    driven: list[Driven] = []
    common: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop.create(Path(folder) / "w")
        write_rules(shop.folder, world.settings, budget_cents=0)
        for number in range(cutoffs):
            until = world.now + timedelta(days=EVERY_DAYS if number else FIRST_DAY)
            ingest_events(shop, world.advance(until), received_at=until)
            first, likely = first_reasons(shop, until)
            common.update(first.values())
            driven += about_to_leave(shop, world, until, first, likely)
    return driven, common


def first_reasons(shop: Shop, as_of: datetime) -> tuple[dict[str, str], set[str]]:
    """The first reason of each customer who has any, and who is likely to leave, by customer_id.

    By the trees, fitted as in a run: its whole backtest, which takes longer, chose them at all four cutoffs.
    """
    run = Run.at(as_of, zone=shop.settings.shop.time_zone)
    view = stage_view(shop, understand, run=run)
    for build in (build_facts, build_run_cutoffs, build_features):
        build(view)
    predicting = stage_view(shop, predict, run=run)
    features = scoring.read_features(predicting, "features")
    fitted = BoostedProbability().fit(scoring.with_labels(predicting, CHURN, features.known))
    scores = pa.table({"value": fitted.predict(features.current)[FORECAST]})
    reasons = reason_rows(predicting, CHURN, features.current, scores, explain(fitted, features.current, REASON_CODES))
    probability = float_column(scores, "value")
    is_likely = pa.array(is_likely_to_leave(probability, shop.policy))
    likely = set(features.current["customer_id"].filter(is_likely).to_pylist())
    return {row["customer_id"]: row["code"] for row in reasons.to_pylist() if row["rank"] == 1}, likely


def about_to_leave(
    shop: Shop, world: ShopSimulator, as_of: datetime, first: Mapping[str, str], likely: set[str]
) -> Iterator[Driven]:
    """Customers with an order whom a planted cause, that can be seen already, drives away about the cutoff."""
    now = as_of.date()
    customer_of = customers_by_user_id(shop, as_of)
    for row in truth(world, 1).to_pylist():
        cause = row["leaving_cause"]
        if cause is None or row["user_id"] not in customer_of:
            continue
        is_seen = row["caused_on"] + timedelta(days=EVIDENCE_DAYS[CAUSES.index(cause)]) <= now
        if is_seen and abs((row["dropped_out_on"] - now).days) <= AROUND_DAYS:
            customer = customer_of[row["user_id"]]
            yield Driven(customer, cause, first.get(customer), customer in likely)


def customers_by_user_id(shop: Shop, as_of: datetime) -> dict[str, str]:
    """customer_id of each user id of the simulated shop."""
    view = stage_view(shop, understand, run=Run.at(as_of, zone=shop.settings.shop.time_zone))
    rows = view.query("select token, customer_id from identities where is_user")
    users = Vault.open(shop).reveal(rows["token"].to_pylist())
    return {user: customer for user, customer in zip(users, rows["customer_id"].to_pylist(), strict=True) if user}


def show(name: str, rows: list[Driven], common: Counter[str]) -> None:
    """Print the share of hits with its interval, next to the baseline's."""
    if not rows:
        print(f"  {name}: nobody")
        return
    everywhere = common.most_common(1)[0][0]
    baseline = np.array([everywhere in CODES[row.cause] for row in rows], dtype=np.float64)
    share, of_baseline = (wilson(hits) for hits in (np.array([row.is_hit for row in rows], float), baseline))
    print(f"  {name}: {len(rows)} customers, planted cause first {text(share)}; '{everywhere}' {text(of_baseline)}")


def wilson(hits: np.ndarray) -> Interval:
    """A share with its 95 % interval (Wilson 1927), which is one also where all or none are hits.

    A customer is about to leave at one cutoff only, so that the rows are independent.
    """
    count, share, z = len(hits), float(hits.mean()), 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)))
    return Interval(share, middle - half, middle + half)


def text(share: Interval) -> str:
    """A share as a percentage."""
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
