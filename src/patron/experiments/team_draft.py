"""Interleaving: two rankers in one list, so that each customer compares them (team draft)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from patron.experiments.effect_tests import WelchTest
from patron.schema.errors import BadExperiment, NotEnoughData

FIRST, SECOND = 0, 1


@dataclass(frozen=True)
class InterleavedList:
    """One list of two rankers."""

    items: tuple[Any, ...]
    team: tuple[int, ...]
    """Whose item each is: 0 of the first ranker, 1 of the second."""

    def clicks_of_teams(self, clicked: Sequence[Any]) -> tuple[int, int]:
        """How many clicked items are of the first and of the second ranker; others do not count."""
        teams = [team for item, team in zip(self.items, self.team, strict=True) if item in set(clicked)]
        return teams.count(FIRST), teams.count(SECOND)


def team_draft(
    first: Sequence[Any], second: Sequence[Any], *, length: int, rng: np.random.Generator
) -> InterleavedList:
    """Mix two lists: in each round a coin says who picks first, and each picks its best item that is not in yet.

    A list that is used up picks no more (Radlinski, Kurup and Joachims 2008). Raises BadExperiment.
    """
    if length < 1:
        raise BadExperiment(f"{length} is not above 0", where="length")
    rankings = (list(dict.fromkeys(first)), list(dict.fromkeys(second)))
    items: dict[Any, int] = {}
    while len(items) < length and any(item not in items for ranking in rankings for item in ranking):
        starter = int(rng.integers(2))
        for team in (starter, 1 - starter):
            pick = next((item for item in rankings[team] if item not in items), None)
            if pick is not None and len(items) < length:
                items[pick] = team
    return InterleavedList(tuple(items), tuple(items.values()))


@dataclass(frozen=True)
class Preference:
    """Which ranker customers prefer."""

    value: float
    """Clicks on the second ranker's items less those on the first's, per list."""
    low: float
    high: float
    """The middle 95 %."""
    p_value: float
    """Exact sign test over customers who prefer one: that each ranker is preferred as often."""
    first_wins: int
    """Customers with more clicks on the first ranker's items."""
    second_wins: int
    ties: int


def preference(first_clicks: Any, second_clicks: Any, *, customer: Any = None) -> Preference:
    """Judge interleaved lists by their clicks: arrays with a number for each list.

    With `customer` the lists of one customer are added up first, because they are not independent. Raises
    BadExperiment, NotEnoughData.
    """
    clicks = [_counts(one, name) for one, name in ((first_clicks, "first_clicks"), (second_clicks, "second_clicks"))]
    if len(clicks[0]) != len(clicks[1]):
        raise BadExperiment(f"{len(clicks[1])} lists, and {len(clicks[0])} of the first", where="second_clicks")
    difference = (clicks[1] - clicks[0]).astype(np.float64)
    place, lists = np.arange(len(difference)), len(difference)
    if customer is not None:
        place = np.unique(np.asarray(customer), return_inverse=True)[1]
        if len(place) != lists:
            raise BadExperiment(f"{len(place)} customers for {lists} lists", where="customer")
    customers = int(place.max()) + 1 if lists else 0
    if customers < 2:
        raise NotEnoughData(f"lists of {customers} customers; 2 are needed", where="first_clicks")
    sums, counts = np.bincount(place, weights=difference), np.bincount(place)
    mean = float(difference.mean())
    influence = (sums - mean * counts) / counts.mean()
    test = WelchTest.of(mean, [float(influence.var(ddof=1)) / customers], [customers])
    wins = int((sums < 0).sum()), int((sums > 0).sum())
    p_value = float(scipy.stats.binomtest(wins[0], sum(wins)).pvalue) if sum(wins) else 1.0
    return Preference(mean, *test.ends(), p_value, *wins, customers - sum(wins))


def _counts(values: Any, name: str) -> npt.NDArray[np.int64]:
    numbers = np.asarray(values)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iufb" or not (numbers >= 0).all():
        raise BadExperiment("not an array with a count of clicks for each list", where=name)
    return numbers.astype(np.int64)
