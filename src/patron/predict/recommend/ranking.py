"""The best products of each customer from scored pairs: memory grows with the pairs, never customers x products."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.numbers import Numbers, float_column

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coded:
    """Purchases as whole numbers; products are numbered in the order of their ids, so that ties break the same way."""

    customers: pa.Array
    products: pa.Array
    customer: Codes
    product: Codes
    days_before: Numbers


def coded(table: pa.Table, also: pa.Array | None = None) -> Coded:
    """Number customers (in order of appearance) and products (by id; `also` are products beyond the table's).

    A row without product names a customer and no purchase.
    """
    customers, bought = encoded(table["customer_id"]), encoded(table["product_id"])
    everything = pa.concat_arrays([bought.dictionary, also]) if also is not None else bought.dictionary
    products = everything.unique().sort()
    number = numbers_of(bought.dictionary, products)
    is_bought = np.asarray(bought.is_valid().to_numpy(zero_copy_only=False))
    at = np.asarray(bought.indices.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)[is_bought]
    return Coded(
        customers.dictionary,
        products,
        np.asarray(customers.indices.to_numpy(), dtype=np.int64)[is_bought],
        number[at] if len(at) else at,
        float_column(table, "days_before")[is_bought],
    )


def encoded(values: pa.ChunkedArray) -> pa.DictionaryArray:
    """Number the texts that occur, in order of appearance; of a column that is numbered already, in its order."""
    if not pa.types.is_dictionary(values.type):
        return values.cast(pa.string()).combine_chunks().dictionary_encode()
    whole = values.combine_chunks()
    count = len(whole.dictionary)
    places = np.asarray(whole.indices.fill_null(count).to_numpy(zero_copy_only=False), dtype=np.int64)
    used = np.bincount(places, minlength=count + 1)[:count] > 0
    number = np.append(np.cumsum(used) - 1, 0)[places]
    indices = pa.array(number, pa.int32(), mask=places == count)
    return pa.DictionaryArray.from_arrays(indices, whole.dictionary.filter(pa.array(used)))


def numbers_of(values: pa.Array, known: pa.Array) -> Codes:
    """Place of each text in `known`; -1 where it is not there."""
    return np.asarray(pc.index_in(values, known).fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def distinct(codes: Codes) -> Codes:
    """Each number once, ascending. `np.unique` hashes, which takes ten times as long for a million of them."""
    ordered = np.sort(codes)
    return ordered[np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))]


def summed(customer: Codes, product: Codes, weight: Numbers, products: int) -> tuple[Codes, Codes, Numbers]:
    """Sum the weights of each (customer, product)."""
    pair, place = np.unique(customer * products + product, return_inverse=True)
    total = np.bincount(place, weights=weight, minlength=len(pair))
    return pair // max(products, 1), pair % max(products, 1), total.astype(np.float64)


def best(customer: Codes, product: Codes, score: Numbers, count: int) -> tuple[npt.NDArray[np.intp], Codes]:
    """Rows of the `count` best products of each customer, best first, and their ranks from 1; ties by product."""
    order = np.lexsort((product, -score, customer))
    rank = places(customer[order])
    kept = rank <= count
    return order[kept], rank[kept]


def places(groups: npt.NDArray[np.int64]) -> Codes:
    """Place of each row within its run of equal groups, from 1."""
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]])) if len(groups) else np.array([], int)
    lengths = np.diff([*starts.tolist(), len(groups)])
    return np.arange(len(groups)) - np.repeat(starts, lengths) + 1


def ranked(
    known: Coded, own: tuple[Codes, Codes, Numbers], popular: Codes, popularity: Numbers, count: int
) -> pa.Table:
    """Each customer's best of own products and popular ones: customer_id, rank, product_id, score, reason.

    `own` has each pair of customer and product once, and `popular`, the most popular products, best first, each product
    once; a product that is both is listed once, by its own score.
    """
    own_rows, _ = best(*own, count)
    people = len(known.customers)
    customer = np.concatenate([own[0][own_rows], np.repeat(np.arange(people), len(popular))])
    product = np.concatenate([own[1][own_rows], np.tile(popular, people)])
    score = np.concatenate([own[2][own_rows], np.tile(popularity, people)])
    is_own = np.arange(len(customer)) < len(own_rows)
    pair = customer * max(len(known.products), 1) + product
    single = np.flatnonzero(is_own | ~np.isin(pair, pair[is_own], kind="sort"))
    rows, rank = best(customer[single], product[single], score[single], count)
    chosen = single[rows]
    return pa.table(
        {
            "customer_id": known.customers.take(pa.array(customer[chosen])),
            "rank": pa.array(rank, pa.int64()),
            "product_id": known.products.take(pa.array(product[chosen])),
            "score": pa.array(score[chosen]),
            "reason": pc.if_else(pa.array(is_own[chosen]), "bought_before", "popular_now"),
        }
    )
