"""What a recommender is: settings that fit to interactions, and a fitted model that recommends."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from patron.estimators.learner import Learner
from patron.recommenders.best_items import Flags, Scores, append_missing, best_items
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.ids import Codes, codes_of_ids, id_array
from patron.recommenders.interactions import Interactions
from patron.recommenders.times import day_of
from patron.schema.errors import BadInteractions, NotEnoughData
from patron.schema.numbers import Numbers

MAX_CELLS = 1_000_000
"""Scores that are held at a time: users are scored in batches. Larger batches took twice the time."""
MIN_SETTINGS = {"seed": 0, "rating_factors": 0, "fewest_updates": 0, "leaves": 2}
"""Lowest values of settings that are whole numbers; 1 of all others."""
ABOVE_0 = frozenset({"half_life_days", "learning_rate", "patience", "prior_purchases", "regularisation"})
"""Settings with a fraction that are above 0; the rest are 0 or more."""
UP_TO_1 = frozenset(
    {
        "asymmetry",
        "b",
        "backward",
        "basket_decay",
        "content_share",
        "dropout",
        "group_decay",
        "personal_share",
        "step_decay",
    }
)
"""Shares, 1 at most."""
REASON = b"reason"
"""Key of the sentence in a table's metadata that says why lists are shorter than asked."""


class Recommender(Learner, ABC):
    """Settings of a recommender; they are written once, as fields."""

    name: ClassVar[str]
    fitted: ClassVar[type["FittedRecommender"]]
    has_item_side: ClassVar[bool] = True
    """Whether what is fitted can recommend from histories alone, without those of the users it was fitted to."""

    def fit(self, interactions: Any) -> "FittedRecommender":
        """Fit to a frame with user_id and item_id, and where it has them `at`, `weight` and `event`.

        Raises BadInteractions, also for a setting out of its range, and NotEnoughData for a frame without a row.
        """
        check_settings(self)
        known = interactions if isinstance(interactions, Interactions) else Interactions.of(interactions)
        if not len(known):
            raise NotEnoughData("no row to learn from", where="interactions", todo="Pass some interactions.")
        return self.fit_interactions(known)

    @abstractmethod
    def fit_interactions(self, known: Interactions) -> "FittedRecommender":
        """Fit to one row or more."""


@dataclass(frozen=True, eq=False)
class FittedRecommender(ABC):
    """A fitted recommender. Ids go out as they came in."""

    learner: Recommender
    catalogue: Catalogue

    @abstractmethod
    def scores(self, users: Codes) -> Scores:
        """One row per user, one column per item: higher is better. Only candidates are in a sparse matrix."""

    def fold_in(self, interactions: Any, at: Any = None) -> Self:
        """The same items, with the users of a frame in place of those it was fitted to; the frame may be empty.

        Rows count as of `at`, a time or a day since 1970, and later ones do not; by default it is the time of the
        newest row of this frame or of the fitted one. Rows of a frame without times are of that time. Items that are
        not known are ignored, and users without another item are not known. What an item is worth, also by time, stays
        as it was fitted. Raises BadInteractions, also where the learner has no item side.
        """
        catalogue = self.catalogue
        known = interactions if isinstance(interactions, Interactions) else Interactions.of(interactions)
        end = max(catalogue.end_day, float(known.day.max(initial=-np.inf))) if at is None else day_of(at)
        if not known.day.any():
            known = replace(known, day=np.full(len(known), end))
        known = replace(known.where(known.day <= end), as_of=end, has_times=catalogue.has_times)
        return self.fold_rows(known.of_items(catalogue.items))

    def fold_rows(self, known: Interactions) -> Self:  # noqa: ARG002 - for those that have an item side
        """As `fold_in`, of rows of known items. Raises BadInteractions where the learner has no item side."""
        todo = "Choose a learner whose has_item_side is True, or fit again to all users."
        raise BadInteractions("it recommends from other users' histories", where=self.learner.name, todo=todo)

    def candidate_scores(self, users: Codes, allowed: Flags, k: int) -> Scores:  # noqa: ARG002 - for those that choose candidates
        """As `scores`; a recommender that scores only some candidates chooses them among the allowed items."""
        return self.scores(users)

    def similarities(self, items: Codes) -> Scores:
        """One row per item, one column per item; by default the cosine of the users whose histories it holds."""
        of_items, of_users = self._unit_history
        return sp.csr_array(of_items[items] @ of_users)

    @cached_property
    def _unit_history(self) -> tuple[sp.csr_array, sp.csr_array]:
        """Items x users, and users x items: 1 where a user had an item, divided by the item's length."""
        history = self.catalogue.history.sign()
        lengths = np.sqrt(np.bincount(history.indices, minlength=history.shape[1]))
        unit = sp.csr_array(history @ sp.diags_array(1 / np.maximum(lengths, 1)))
        return sp.csr_array(unit.T), unit

    def ratings(self, users: Codes, items: Codes) -> Numbers | None:  # noqa: ARG002 - for learners that predict them
        """Expected rating of each pair, in the unit of `weight`; -1 is a user or item that is not known.

        None of a recommender that predicts none.
        """
        return None

    def recommend(
        self,
        users: Any,
        k: int = 10,
        exclude_seen: bool = True,  # noqa: FBT001, FBT002
        filter: Any = None,  # noqa: A002
        fewest_new: int = 0,
    ) -> pa.Table:
        """The best items of each user: columns user_id, item_id, rank from 1, score.

        Users come in the order in which they are passed, each once; those who are not known get the popular list.
        With `exclude_seen`, what a user had before is left out. `filter` is a list of allowed item ids. Where fewer
        than `fewest_new` of the k items are new to the user, the best others that are new follow. Where candidates are
        fewer, popular items follow, with a score of 0 or less. A list can be shorter than `k`; the table's metadata
        says why under "reason". Raises BadInteractions for a `k` that is not a whole number of 1
        or more.
        """
        places = min(_require_count(k), len(self.catalogue.items))
        wanted = pc.unique(id_array(users))
        codes = codes_of_ids(wanted, self.catalogue.users)
        allowed = self._allowed_items(filter)
        new = min(fewest_new, len(self.catalogue.items))
        parts = [
            self._best(batch, places, allowed, new, repeats=not exclude_seen) for batch in batches(codes, len(allowed))
        ]
        table = self._table(wanted, parts, ("user_id", "item_id"))
        short = len(wanted) if k > places else sum(int((items[:, places - 1] < 0).sum()) for items, _ in parts)
        if not short:
            return table
        without = ", less what each user had before" if exclude_seen else ""
        reason = (
            f"{short} of {len(wanted)} users get fewer than {k} items: {int(allowed.sum())} of {len(allowed)} items are"
            f" allowed{without}"
        )
        return table.replace_schema_metadata({REASON: reason.encode()})

    def similar(self, items: Any, k: int = 10) -> pa.Table:
        """The items most like each item: columns item_id, similar_id, rank from 1, score.

        Items come in the order in which they are passed, each once; those that are not known are left out.
        Raises BadInteractions for a `k` that is not a whole number of 1 or more.
        """
        places = min(_require_count(k), len(self.catalogue.items))
        wanted = pc.unique(id_array(items))
        codes = codes_of_ids(wanted, self.catalogue.items)
        wanted, codes = wanted.filter(pa.array(codes >= 0)), codes[codes >= 0]
        allowed = np.ones(len(self.catalogue.items), dtype=np.bool_)
        no_items, parts = np.empty(0, dtype=np.int64), []
        for batch in batches(codes, len(allowed)):
            identity = _identity_rows(batch, len(self.catalogue.items))
            best = best_items(self.similarities(batch), identity, allowed, no_items, np.empty(0), places)
            parts.append((best.items, best.scores))
        return self._table(wanted, parts, ("item_id", "similar_id"))

    def save(self, folder: Path | str) -> None:
        """Write the model into a folder, which is made where it is missing; nothing in it is a pickle."""
        from patron.recommenders.saving import save  # noqa: PLC0415 - it knows the learners, which know this module

        save(self, Path(folder))

    def _allowed_items(self, items: Any) -> Flags:
        allowed = np.full(len(self.catalogue.items), items is None)
        if items is not None:
            codes = codes_of_ids(items, self.catalogue.items)
            allowed[codes[codes >= 0]] = True
        return allowed

    def _best(self, codes: Codes, k: int, allowed: Flags, new: int, *, repeats: bool) -> tuple[Codes, Numbers]:
        """Items and scores of a batch of users, the k best and then new ones; -1 is a user who is not known."""
        is_known = codes >= 0
        items = np.full((len(codes), k + new), -1, dtype=np.int64)
        scores = np.full((len(codes), k + new), -np.inf)
        popular = self.catalogue.popular
        fill = self.catalogue.popularity[popular] - 1
        for flags, rows in ((is_known, codes[is_known]), (~is_known, codes[:0])):
            count = int(flags.sum())
            if not count:
                continue
            shape = count, len(allowed)
            of_rows = self.candidate_scores(rows, allowed, k) if len(rows) else sp.csr_array(shape)
            before = self.catalogue.history[rows] if len(rows) else sp.csr_array(shape)
            best = best_items(of_rows, sp.csr_array(shape) if repeats else before, allowed, popular, fill, k)
            if new:
                best = append_missing(best, best_items(of_rows, before, allowed, popular, fill, new))
            items[flags], scores[flags] = best.items, best.scores
        return items, scores

    def _table(self, wanted: pa.Array, parts: list[tuple[Codes, Numbers]], names: tuple[str, str]) -> pa.Table:
        none = np.empty((0, 1), dtype=np.int64), np.empty((0, 1))
        items, scores = (np.concatenate(one) for one in zip(*(parts or [none]), strict=True))
        row, place = np.nonzero(items >= 0)
        return pa.table(
            {
                names[0]: wanted.take(pa.array(row)),
                names[1]: self.catalogue.items.take(pa.array(items[row, place])),
                "rank": pa.array(place + 1, pa.int64()),
                "score": pa.array(scores[row, place]),
            }
        )


def check_settings(learner: Any) -> None:
    """Raise BadInteractions for a number that is out of its range; which numbers are whole their defaults say."""
    for field in fields(learner):
        if type(field.default) not in {int, float}:
            continue
        name = field.name
        value = getattr(learner, field.name)
        is_whole = type(field.default) is int
        kind, words = (Integral, "a whole number") if is_whole else (Real, "a number")
        least = MIN_SETTINGS.get(name, 1) if is_whole else 0
        most = 1 if name in UP_TO_1 else np.finfo(float).max
        is_number = issubclass(type(value), kind) and type(value) is not bool
        if is_number and least <= value <= most and (value > 0 or name not in ABOVE_0):
            continue
        span = "above 0" if name in ABOVE_0 else f"from {least} to 1" if name in UP_TO_1 else f"of {least} or more"
        raise BadInteractions(f"{name} is {value!r}", where=learner.name, todo=f"It is {words} {span}.")


def batches(codes: Codes, columns: int) -> Iterator[Codes]:
    """Codes in parts so small that their rows of scores fit into memory."""
    size = max(MAX_CELLS // max(columns, 1), 1)
    return (codes[at : at + size] for at in range(0, len(codes), size))


def _require_count(k: Any) -> int:
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise BadInteractions(f"k is {k!r}", where="recommend", todo="Ask for 1 item or more.")
    return int(k)


def _identity_rows(items: Codes, count: int) -> sp.csr_array:
    """One row per item, with a 1 in its own column."""
    return sp.csr_array((np.ones(len(items)), (np.arange(len(items)), items)), shape=(len(items), count))
