"""Past cutoffs of recommendations: ranked against all products, repeats and discoveries apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.estimators.learner import Fitted
from patron.predict.origins import Origin
from patron.predict.recommend.codes import Codes, distinct, encoded, numbers_of, places
from patron.predict.recommend.list_probabilities import ListedPairs, places_by_kind
from patron.predict.recommend.purchase_history import PurchaseHistory
from patron.schema.models.metrics import NDCG_AT_10, NOVEL_NDCG_AT_10, RECALL_AT_10, Metric, ndcg
from patron.schema.numbers import Numbers, float_column

TOP = 10


@dataclass(frozen=True)
class RankingsAtOrigin:
    """One learner's lists of one or more origins, measured customer by customer."""

    measured: Mapping[str, tuple[npt.NDArray[np.str_], Numbers]]
    """For each metric: the customers it looks at, and the value of each. Ranking of all that was bought, share of it
    in the first ten, and ranking of what was never bought before: of customers who bought such a product, the first
    ten products new to them among those recommended."""
    listed: ListedPairs | None = None
    """Every listed product, and whether it was bought."""

    def customer_ids(self, metric: Metric) -> npt.NDArray[np.str_]:
        """The customers that a metric looks at."""
        return self.measured[metric.name][0]

    def customer_count(self, metric: Metric) -> int:
        """Customers, at each origin anew."""
        return len(self.measured[metric.name][0])

    def value(self, metric: Metric, weights: Numbers | None = None) -> Any:
        """The mean over customers, or one per resample."""
        return metric.of(self.measured[metric.name][1], weights)

    def joined(self, others: Sequence[Self]) -> Self:
        """These lists and those of other origins."""
        parts = [self.measured, *(other.measured for other in others)]
        return type(self)(
            {
                name: (
                    np.concatenate([part[name][0] for part in parts]),
                    np.concatenate([part[name][1] for part in parts]),
                )
                for name in self.measured
            }
        )  # why without `listed`: what scores mean is learned at the newest cutoff alone

    def interval_coverage(self, others: Sequence[Self], rng: np.random.Generator) -> Numbers | None:  # noqa: ARG002 - the protocol's signature
        """A list has no interval."""
        return None


@dataclass(frozen=True)
class RankingOrigin(Origin):
    """One past cutoff: what was known, a `PurchaseHistory`, and as `test_rows` what was bought in the horizon.

    Columns of both are customer_id, product_id and days_before.
    """

    @classmethod
    def of(cls, cutoff: datetime, history: pa.Table | PurchaseHistory, bought: pa.Table) -> Self:
        """What was known at a cutoff, and the purchases after it."""
        known = PurchaseHistory.of(history)
        return cls(cutoff, lambda: known, bought, len(bought["customer_id"].unique()))

    def evaluate(self, fitted: Fitted) -> RankingsAtOrigin:
        """Rank for every customer who bought before and after the cutoff, and look at the first ten."""
        buyers = self._buyers
        lists = fitted.predict(self.known().with_purchases(buyers.history))
        lists = lists.sort_by([("customer_id", "ascending"), ("rank", "ascending")])
        shown = _pairs(lists, buyers.customers, buyers.products)
        customers, ranking, recall = _values(shown, buyers.truth, buyers)
        is_new = ~np.isin(buyers.truth, buyers.owned, assume_unique=True)
        is_repeat = np.isin(shown, buyers.owned, assume_unique=True)
        new_customers, new_ranking, _ = _values(shown[~is_repeat], buyers.truth[is_new], buyers)
        return RankingsAtOrigin(
            {
                NDCG_AT_10.name: (customers, ranking),
                RECALL_AT_10.name: (customers, recall),
                NOVEL_NDCG_AT_10.name: (new_customers, new_ranking),
            },
            ListedPairs(
                float_column(lists, "score"),
                places_by_kind(shown // max(len(buyers.products), 1), is_repeat),
                is_repeat,
                np.isin(shown, buyers.truth, assume_unique=True),
            ),
        )

    @cached_property
    def _buyers(self) -> "Buyers":
        return Buyers.of(self.known(), self.test_rows)


@dataclass(frozen=True)
class Buyers:
    """Customers who bought before and after a cutoff: their purchases, and what recommendations are compared with.

    A pair is customer and product as one number: `customer * len(products) + product`.
    """

    history: pa.Table
    customers: pa.Array
    """In order of their id."""
    products: pa.Array
    truth: Codes
    """Pairs bought after the cutoff, each once, ascending."""
    owned: Codes
    """Pairs bought before it, likewise."""

    @classmethod
    def of(cls, known: PurchaseHistory, bought: pa.Table) -> Self:
        """Number customers and products once an origin, for all its learners."""
        history = known.purchases
        before, after = encoded(history["customer_id"]), encoded(bought["customer_id"])
        is_known = numbers_of(after.dictionary, before.dictionary) >= 0
        customers = after.dictionary.filter(pa.array(is_known)).sort()
        is_buyer = (numbers_of(before.dictionary, customers) >= 0)[before.indices.to_numpy()]
        listed = [encoded(lines["product_id"]).dictionary for lines in (history, bought)]
        listed += [known.content.items] if known.content else []
        history, products = history.filter(pa.array(is_buyer)), pa.concat_arrays(listed).unique()
        owned = distinct(_pairs(history, customers, products))
        return cls(history, customers, products, distinct(_pairs(bought, customers, products)), owned)


def _pairs(table: pa.Table, customers: pa.Array, products: pa.Array) -> Codes:
    """Number the (customer, product) of each row whose customer is one of these."""
    codes = []
    for name, known in (("customer_id", customers), ("product_id", products)):
        column = encoded(table[name])
        codes.append(numbers_of(column.dictionary, known)[column.indices.to_numpy()])
    return (codes[0] * len(products) + codes[1])[codes[0] >= 0]


def _values(shown: Codes, truth: Codes, buyers: Buyers) -> tuple[npt.NDArray[np.str_], Numbers, Numbers]:
    """NDCG and recall of the first ten products of each customer in the truth, in order of customer_id."""
    per_customer = max(len(buyers.products), 1)
    customers, counts = np.unique(truth // per_customer, return_counts=True)
    place = places(shown // per_customer)
    is_hit = (place <= TOP) & np.isin(shown, truth, assume_unique=True)
    gains = np.zeros((len(customers), TOP))
    gains[np.searchsorted(customers, shown[is_hit] // per_customer), place[is_hit] - 1] = 1.0
    recall = gains.sum(axis=1) / np.maximum(counts, 1)
    names = np.array(buyers.customers.to_pylist(), dtype=np.str_)
    return names[customers], ndcg(gains, counts), recall
