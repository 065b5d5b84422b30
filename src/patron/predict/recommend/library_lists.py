"""Lists from recommenders of the library: fitted to all purchases, kept without customers, who are folded in."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron import recommenders
from patron.estimators.learner import Learner
from patron.estimators.saving import from_json, to_json
from patron.predict.recommend.codes import Codes, encoded, numbers_of
from patron.predict.recommend.list_probabilities import ListProbabilities, places_by_kind
from patron.predict.recommend.purchase_history import PurchaseHistory
from patron.recommenders.combined.learned_ranking import FittedRanking
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json
from patron.schema.numbers import Numbers, float_column
from patron.storage.models.model_registry import ERASED

PRODUCTS_FILE = "products.json"
SETTINGS_FILE = "settings.json"
RECOMMENDER = "recommender"
DAY_SECONDS = 86_400.0
ASSUMED_REPEAT, ASSUMED_NEW = 0.2, 0.02
"""Probability of a customer's first product, bought before or new to them, while no past cutoff has shown it."""


@dataclass(frozen=True)
class FittedLists:
    """A recommender of numbered products; what the numbers stand for is a list of ids, from which ids can be erased."""

    learner: "LibraryLists"
    products: tuple[str, ...]
    recommender: recommenders.FittedRecommender
    probabilities: ListProbabilities | None = None
    """What scores mean, from past cutoffs; None before it is known."""

    def predict(self, table: pa.Table | PurchaseHistory) -> pa.Table:
        """Rank products for each customer of `table`, their purchases (customer_id, product_id, days_before).

        What the shop plans counts where the recommender uses it. Columns customer_id, rank, product_id, score,
        probability, reason, days_since and usual_days. A row without a product names a customer and no purchase.
        """
        history = PurchaseHistory.of(table)
        customers = encoded(history.purchases["customer_id"])
        product = self._numbers(history.purchases["product_id"])
        days = float_column(history.purchases, "days_before")
        rows = _interactions(customers, product, days)
        everybody = np.arange(len(customers.dictionary))
        folded = self._fold_in(rows, history.promotions)
        lists = folded.recommend(everybody, self.learner.count, exclude_seen=False, fewest_new=self.learner.fewest_new)
        number, listed = (lists[name].to_numpy().astype(np.int64) for name in ("user_id", "item_id"))
        user = customers.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        since, typical = _purchase_days(user, product, days, number, listed, len(self.products))
        score, is_repeat = lists["score"].to_numpy(), np.isfinite(since)
        probability = (
            self.probabilities.of(score, places_by_kind(number, is_repeat), is_repeat)
            if self.probabilities
            else _prior_probabilities(number, score, is_repeat)
        )
        ranked = pa.table(
            {
                "customer_id": customers.dictionary.take(pa.array(number)),
                "rank": lists["rank"].cast(pa.int64()),
                "product_id": pa.array(self.products, pa.string()).take(pa.array(listed)),
                "score": lists["score"],
                "probability": pa.array(probability, pa.float64(), from_pandas=True),
                "reason": pc.if_else(pa.array(is_repeat), "buy_again", "popular"),
                "days_since": pa.array(since, pa.float64(), from_pandas=True),
                "usual_days": pa.array(typical, pa.float64(), from_pandas=True),
            }
        )
        return ranked.filter(pc.not_equal(ranked["product_id"], ERASED)) if ERASED in self.products else ranked

    def _fold_in(self, rows: pa.Table, promotions: pa.Table) -> recommenders.FittedRecommender:
        if not isinstance(self.recommender, FittedRanking):
            return self.recommender.fold_in(rows, at=0.0)
        return self.recommender.fold_in(rows, 0.0, _numbered(promotions, self._numbers(promotions["item_id"])))

    def _numbers(self, ids: pa.ChunkedArray) -> np.ndarray:
        column = encoded(ids)
        known = numbers_of(column.dictionary, pa.array(self.products, pa.string()))
        places = column.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        return np.append(known, -1)[places]

    def save(self, folder: Path) -> None:
        """Write into an existing folder; nothing about any customer."""
        (folder / PRODUCTS_FILE).write_text(json.dumps({"products": self.products}), encoding="utf-8")
        content = {"learner": self.learner.settings(), "probabilities": to_json(self.probabilities)}
        (folder / SETTINGS_FILE).write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
        (folder / RECOMMENDER).mkdir()
        self.recommender.save(folder / RECOMMENDER)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        content = read_json(folder / SETTINGS_FILE)
        learner = KINDS[content["learner"].pop("name")](**content["learner"])
        return cls(
            learner,
            tuple(read_json(folder / PRODUCTS_FILE)["products"]),
            recommenders.load(folder / RECOMMENDER),
            from_json(content["probabilities"], ListProbabilities),
        )


@dataclass(frozen=True)
class LibraryLists(Learner, ABC):
    """Settings that all lists share; each kind names its recommender."""

    count: int = 30
    """Products per customer ..."""
    fewest_new: int = 20
    """... and more, where fewer than so many of them are new to the customer."""
    fewest_lines: int = 0
    """Purchases below which there is too little to learn from."""

    fitted: ClassVar[type] = FittedLists
    is_learned: ClassVar[bool] = False
    """Whether it is a candidate only where policy.toml has [recommendations] ranking = "learned"."""
    uses_content: ClassVar[bool] = False
    """Whether it ranks products by what is known of them, also those that nobody has bought."""

    @property
    @abstractmethod
    def recommender(self) -> recommenders.Recommender:
        """The library's recommender."""

    def settings(self) -> dict[str, Any]:
        """The settings, and which kind they are of."""
        return {"name": self.name, **vars(self)}

    def fit(self, table: pa.Table | PurchaseHistory) -> FittedLists:
        """Learn from purchases: customer_id, product_id, days_before the origin. Raises NotEnoughData."""
        history = PurchaseHistory.of(table)
        purchases = history.purchases
        if purchases.num_rows < self.fewest_lines:
            what = f"{purchases.num_rows} purchases are too few to learn an order of products from"
            todo = f"It is tried from {self.fewest_lines} purchases on."
            raise NotEnoughData(what, where="recommend", todo=todo)
        customers, bought = encoded(purchases["customer_id"]), encoded(purchases["product_id"])
        if not len(bought.dictionary):
            raise NotEnoughData(
                "no purchase names a product", where="recommend", todo="Import order lines with product ids."
            )
        content = history.content if self.uses_content else None
        listed = [bought.dictionary.cast(pa.string()), *([content.items.cast(pa.string())] if content else [])]
        products = pa.concat_arrays(listed).unique().sort()
        known = np.append(numbers_of(bought.dictionary, products), -1)
        product = known[bought.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)]
        rows = _interactions(customers, product, float_column(purchases, "days_before"))
        planned = encoded(history.promotions["item_id"])
        places = np.append(numbers_of(planned.dictionary, products), -1)
        promotions = _numbered(history.promotions, places[planned.indices.to_numpy(zero_copy_only=False)])
        numbered = PurchaseHistory(rows, promotions, content.numbered(products) if content else None)
        return FittedLists(self, tuple(products.to_pylist()), self.fit_recommender(numbered))

    def fit_recommender(self, history: PurchaseHistory) -> recommenders.FittedRecommender:
        """Fit the recommender to numbered customers and products; no customer is kept."""
        rows = history.purchases
        return self.recommender.fit(rows).fold_in(rows.slice(0, 0), at=0.0)


@dataclass(frozen=True)
class PopularityLists(LibraryLists):
    """The products sold most in the last days, for everybody."""

    recent_days: float = 28.0
    """Length of the window that counts, days."""

    name: ClassVar[str] = "popularity"
    is_baseline: ClassVar[bool] = True

    @property
    def recommender(self) -> recommenders.Recommender:
        """Recent popularity."""
        return recommenders.RecentPopularity(recent_days=self.recent_days)


@dataclass(frozen=True)
class ItemHazardLists(LibraryLists):
    """What a customer buys again, when it is due, filled up with what sells now."""

    name: ClassVar[str] = "item_hazard"
    complexity: ClassVar[int] = 1

    @property
    def recommender(self) -> recommenders.Recommender:
        """Item hazard."""
        return recommenders.ItemHazard()


@dataclass(frozen=True)
class LearnedLists(LibraryLists):
    """The union of several recommenders' candidates in an order that trees learned from the last days."""

    fewest_lines: int = 20_000

    name: ClassVar[str] = "learned_ranking"
    complexity: ClassVar[int] = 2
    is_learned: ClassVar[bool] = True

    @property
    def recommender(self) -> recommenders.LearnedRanking:
        """The library's default, for lists of the coming weeks."""
        return replace(recommenders.DEFAULT, asked="window")

    def fit_recommender(self, history: PurchaseHistory) -> recommenders.FittedRecommender:
        """As all lists, with what the shop plans; no plan is kept, since each prediction has its own."""
        rows, none = history.purchases, history.promotions.slice(0, 0)
        return self.recommender.fit(rows, history.promotions).fold_in(rows.slice(0, 0), 0.0, none)


@dataclass(frozen=True)
class AttentionLists(LibraryLists):
    """What comes next in a customer's sequence, by self-attention and by transitions; needs the extra `deep`."""

    fewest_lines: int = 5_000
    epochs: int = 5
    """How often the network goes through all purchases ..."""
    fewest_updates: int = 1_500
    """... and updates of its weights, at least. Half of the recommender's own, as a run fits it at each past cutoff."""

    name: ClassVar[str] = "attention_mixture"
    complexity: ClassVar[int] = 3
    module: ClassVar[str] = "torch"
    is_learned: ClassVar[bool] = True

    @property
    def recommender(self) -> recommenders.Recommender:
        """Attention and transitions."""
        return recommenders.AttentionMixture(epochs=self.epochs, fewest_updates=self.fewest_updates)


@dataclass(frozen=True)
class TowerLists(LibraryLists):
    """Histories against what products are: catalogue and pictures, also of new ones; needs the extra `deep`."""

    fewest_lines: int = 5_000

    name: ClassVar[str] = "two_towers"
    complexity: ClassVar[int] = 3
    module: ClassVar[str] = "torch"
    is_learned: ClassVar[bool] = True
    uses_content: ClassVar[bool] = True

    @property
    def recommender(self) -> recommenders.TwoTowers:
        """Two towers."""
        return recommenders.TwoTowers()

    def fit_recommender(self, history: PurchaseHistory) -> recommenders.FittedRecommender:
        """As all lists, with what is known of products."""
        rows = history.purchases
        return self.recommender.fit(rows, history.content).fold_in(rows.slice(0, 0), at=0.0)


def _prior_probabilities(customer: np.ndarray, score: np.ndarray, is_repeat: np.ndarray) -> np.ndarray:
    """Probabilities before any past cutoff has shown what scores mean: shares of the customer's best score."""
    best = np.zeros(int(customer.max(initial=-1)) + 1)
    np.maximum.at(best, customer, score)
    share = np.clip(score, 0.0, None) / np.where(best > 0, best, 1.0)[customer]
    return share * np.where(is_repeat, ASSUMED_REPEAT, ASSUMED_NEW)


KINDS: Mapping[str, type[LibraryLists]] = {
    one.name: one for one in (PopularityLists, ItemHazardLists, LearnedLists, AttentionLists, TowerLists)
}


def _numbered(promotions: pa.Table, product: np.ndarray) -> pa.Table:
    """Promotions of known products, by number."""
    numbered = promotions.set_column(0, "item_id", pa.array(product))
    return numbered.filter(pa.array(product >= 0))


def _interactions(customers: pa.DictionaryArray, product: np.ndarray, days: np.ndarray) -> pa.Table:
    """Purchases of known products by number; times are seconds before the origin, in its order of rows."""
    is_known = product >= 0
    user = customers.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return pa.table(
        {"user_id": user[is_known], "item_id": product[is_known], "at": -DAY_SECONDS * np.maximum(days[is_known], 0.0)}
    )


def _purchase_days(
    user: Codes, product: Codes, days: Numbers, list_user: Codes, list_product: Codes, product_count: int
) -> tuple[Numbers, Numbers]:
    """Days since the last purchase of each listed pair, and the mean between its purchases; NaN where there is none.

    From purchases (user, product, days before the origin).
    """
    is_known = product >= 0
    if not is_known.any():
        nothing = np.full(len(list_user), np.nan)
        return nothing, nothing
    pair = user[is_known] * product_count + product[is_known]
    exact = days[is_known]
    order = np.lexsort((exact, pair))
    pair, exact = pair[order], exact[order]
    day = np.floor(exact)
    is_first = np.diff(pair, prepend=-1) != 0
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(pair)) - 1
    is_new_day = is_first | (np.diff(day, prepend=-1) != 0)
    gaps = np.add.reduceat(is_new_day, first) - 1
    usual = np.where(gaps > 0, (day[last] - day[first]) / np.maximum(gaps, 1), np.nan)
    known, listed = pair[first], list_user * product_count + list_product
    at = np.minimum(np.searchsorted(known, listed), len(known) - 1)
    is_repeat = known[at] == listed
    return np.where(is_repeat, exact[first][at], np.nan), np.where(is_repeat, usual[at], np.nan)
