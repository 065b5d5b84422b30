"""Few labels: do rows without one, or customers' events, add anything? Learning curves next to the labelled rows alone.

Telco (churn) and UCI online shoppers (tested in November and December): self-training. Taobao's clicks (who buys in the
last two days) and a simulated shop (who orders in the next 30 days): self-training and embeddings of events, next to
counts of events and their recency.

Usage: python benchmarks/tabular/few_labels.py FOLDER (with telco_churn, uci_online_shoppers and
taobao_userbehavior.parquet)
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.tabular import learning_curve

LEARNERS = ("logistic", "lightgbm")
SEEDS = (1, 2)
TAOBAO_FIRST, TAOBAO_LAST = datetime(2017, 11, 24, 16, tzinfo=UTC), datetime(2017, 12, 3, 16, tzinfo=UTC)
TAOBAO_CUTOFF = TAOBAO_LAST - timedelta(days=2)
CUSTOMERS, HISTORY_DAYS, NEXT_DAYS = 2_500, 270, 30


def show(name: str, table: pa.Table, **arguments: Any) -> None:
    for learner in LEARNERS:
        for seed in SEEDS:
            curve = learning_curve(table, learner=learner, seed=seed, **arguments)
            print(f"{name}, {learner}, seed {seed}: use {curve.method}")
            for row in curve.rows:
                gain = f"gain {row.gain:+.4f} ({row.gain_low:+.4f} to {row.gain_high:+.4f})"
                print(
                    f"  {row.label_count:6,} labels  {row.method:16} AUC {row.auc:.3f} "
                    f"({row.low:.3f} to {row.high:.3f})  {'' if row.method == 'labelled_only' else gain}"
                )


def people(events: pa.Table, cutoff: datetime, positive: str, kinds: Sequence[str]) -> pa.Table:
    """Who had an event before the cutoff, by counts and recency of each kind; `happened`: the positive one after it."""
    at = pa.scalar(cutoff, events.schema.field("at").type)
    before = events.filter(pc.less(events["at"], at))
    customers = pc.unique(before["customer"]).sort()
    place = {one: number for number, one in enumerate(customers.to_pylist())}
    columns: dict[str, Any] = {"customer": customers}
    for kind in kinds:
        rows = before.filter(pc.equal(before["event"], kind))
        last = np.full(len(place), np.nan)
        of_row = np.array([place[customer] for customer in rows["customer"].to_pylist()], dtype=int)
        days = np.array([(cutoff - moment).total_seconds() / 86_400 for moment in rows["at"].to_pylist()])
        for window in (3, 30, 10_000):
            columns[f"{kind}, last {window} days"] = np.bincount(of_row[days < window], minlength=len(place))
        np.fmin.at(last, of_row, days)
        columns[f"days since {kind}"] = last
    after = events.filter(pc.and_(pc.greater_equal(events["at"], at), pc.equal(events["event"], positive)))
    buyers = set(after["customer"].to_pylist())
    columns["happened"] = [int(customer in buyers) for customer in customers.to_pylist()]
    return pa.table(columns)


def taobao(folder: Path) -> tuple[pa.Table, pa.Table]:
    clicks = pq.read_table(folder / "taobao_userbehavior.parquet")
    moments = pc.cast(pc.multiply(clicks["ts"], 1e6), pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    events = pa.table({"customer": clicks["user_id"].cast(pa.string()), "at": moments, "event": clicks["behavior"]})
    first, last = (pa.scalar(one, moments.type) for one in (TAOBAO_FIRST, TAOBAO_LAST))
    events = events.filter(pc.and_(pc.greater_equal(events["at"], first), pc.less(events["at"], last)))
    return events, people(events, TAOBAO_CUTOFF, "buy", ("pv", "cart", "fav", "buy"))


def simulated_shop() -> tuple[pa.Table, pa.Table, datetime]:
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=CUSTOMERS), seed=4)
    history = world.history(HISTORY_DAYS)
    cutoff = world.now
    every = pa.concat_tables([history, world.advance(cutoff + timedelta(days=NEXT_DAYS))])
    events = pa.table({"customer": every["user_id"], "at": every["occurred_at"], "event": every["name"]}).drop_null()
    kinds = ("Product Viewed", "Product Added", "Order Completed", "Message Opened", "Product Reviewed")
    return events, people(events, cutoff, "Order Completed", kinds), cutoff


def main(folder: str) -> None:
    show("Telco", pq.read_table(Path(folder) / "telco_churn.parquet"), label="Churn", positive="Yes")
    shoppers = pq.read_table(Path(folder) / "uci_online_shoppers.parquet")
    show("UCI online shoppers", shoppers, label="Revenue", time="Month")
    for name, events, table, cutoff in (
        ("Taobao", *taobao(Path(folder)), TAOBAO_CUTOFF),
        ("simulated shop", *simulated_shop()),
    ):
        share = float(pc.mean(table["happened"]).as_py())
        print(f"{name}: {table.num_rows:,} people, {share:.1%} with the event")
        before = events.filter(pc.less(events["at"], pa.scalar(cutoff, events.schema.field("at").type)))
        show(name, table, label="happened", customer="customer", events=before)


if __name__ == "__main__":
    main(sys.argv[1])
