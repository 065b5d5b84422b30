"""Candidates of one list and what speaks for each: the customer, this visit, the page or cart, and what sells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from patron.recommenders.ids import Codes
from patron.recommenders.live.click_model import SOURCES
from patron.recommenders.live.product_rows import ProductRows
from patron.recommenders.live.recommendation_index import PROBABILITY, STRENGTH, UNKNOWN, RecommendationIndex
from patron.recommenders.live.session_memory import EVIDENCE, ORDER, SessionEvent
from patron.schema.numbers import Numbers

LAST_EVENTS = 20
"""Events of a visit that speak for products."""
HALF_LIFE_DAYS = 0.5
"""Age at which what an event says about the visit counts half ..."""
LASTING_SHARE = 0.3
"""... and share of an event that is about the person, and fades with TASTE_HALF_LIFE_DAYS."""
TASTE_HALF_LIFE_DAYS = 30.0
"""Age at which an event says half as much about a customer's categories."""
NO_TASTE = 2.0
"""Events without a category that everybody has: of one view little follows."""
CATEGORIES, OF_CATEGORY = 3, 20
"""Categories that a customer likes most, and best sellers of each, that are candidates."""
MIN_POPULARITY = 0.2
"""What a product of a category counts that does not sell, next to its best seller."""
RELATED = 30
"""Products of each event's and each context product's rows."""
POPULAR, NEWEST = 100, 20
"""Candidates that the best sellers and the newest products give to every list."""
AGAIN = 0.4
"""How much a viewed product speaks for itself."""
FOR_CART = {"cart_add", "order"}
"""Events after which something that goes together is wanted; after others something like it."""
PERSONAL, SESSION, CONTEXT, TASTE, POPULARITY, ANY = range(len(SOURCES))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Products, each once, in order of their places."""

    product: Codes
    interests: Numbers
    """Products x SOURCES, 0 to 1."""
    wanted_at: Codes
    """Place in the customer's row of wanted products; -1 of a product that is not in it."""
    because: Codes
    """Products x (visit, context): the product of each that speaks loudest for it; -1 without one."""

    @classmethod
    def of(  # noqa: PLR0913 - what there is to know of one list
        cls,
        index: RecommendationIndex,
        *,
        customer: int,
        session: Sequence[SessionEvent],
        context: Sequence[int],
        day: float,
        popular: int = POPULAR,
        allowed: Codes | None = None,
    ) -> Self:
        """Collect candidates; with `allowed` only these products, all of which are candidates."""
        wanted = index.customers.wanted.row(customer)
        of_session = _evidence(index, session, day)
        of_page = index.together, index.substitutes
        of_context = _related((one, 1.0, of_page) for one in context)
        taste = _taste(index, session, day)
        if allowed is None:
            liked = [index.best_of_category(one)[:OF_CATEGORY] for one in np.argsort(-taste[:-1])[:CATEGORIES]]
            others = [index.by_popularity[:popular], index.newest[:NEWEST], *liked]
        else:
            others = [allowed]
        parts = [wanted, of_session[0], of_context[0], *others]
        product, place = np.unique(np.concatenate(parts).astype(np.int64), return_inverse=True)
        ends = np.cumsum([len(part) for part in parts])
        interests = np.zeros((len(product), len(SOURCES)))
        wanted_at, because = np.full(len(product), -1), np.full((len(product), 2), UNKNOWN)
        wanted_at[place[: ends[0]]] = np.arange(ends[0])
        interests[place[: ends[0]], PERSONAL] = index.customers.wanted.value(PROBABILITY, customer)
        bought = [index.code(event.product) for event in session if event.kind == ORDER and event.day >= index.at_day]
        interests[np.isin(product, bought), PERSONAL] = 0.0  # why: the index does not know of the order yet
        for column, (_, strength, source), span in (
            (SESSION, of_session, slice(ends[0], ends[1])),
            (CONTEXT, of_context, slice(ends[1], ends[2])),
        ):
            interests[:, column] = _noisy_or(place[span], strength, len(product))
            order = np.argsort(strength, kind="stable")
            because[place[span][order], column - SESSION] = source[order]
        among = MIN_POPULARITY + (1 - MIN_POPULARITY) * index.popularity_in_category[product]
        interests[:, TASTE] = taste[index.facts.category[product]] * among
        interests[:, POPULARITY], interests[:, ANY] = index.popularity[product], 1.0
        candidates = cls(product, interests, wanted_at, because)
        return candidates if allowed is None else candidates.where(np.isin(product, allowed))

    def where(self, flags: np.ndarray) -> Self:
        """Some of the candidates."""
        wanted_at, because = self.wanted_at[flags], self.because[flags]
        return type(self)(self.product[flags], self.interests[flags], wanted_at, because)


def _taste(index: RecommendationIndex, session: Sequence[SessionEvent], day: float) -> Numbers:
    """Share of a shopper's interest that each category has; the last place is that of products without one: 0."""
    taste = np.zeros(len(index.facts.categories) + 1)
    for event in session:
        if event.kind in EVIDENCE and (code := index.code(event.product)) != UNKNOWN:
            age = max(day - event.day, 0.0)
            taste[index.facts.category[code]] += EVIDENCE[event.kind] * 0.5 ** (age / TASTE_HALF_LIFE_DAYS)
    taste[-1] = 0.0
    return taste / (taste.sum() + NO_TASTE)


def _evidence(index: RecommendationIndex, session: Sequence[SessionEvent], day: float) -> tuple[Codes, Numbers, Codes]:
    """Products that the latest events of a visit speak for, how strongly, and by which product."""
    latest: dict[int, tuple[int, float, bool]] = {}
    of_cart = (index.together,)
    of_look = (index.substitutes, index.follows, index.alike, index.together)
    for event in [event for event in session if event.kind in EVIDENCE][-LAST_EVENTS:]:
        code = index.code(event.product)
        if code != UNKNOWN:
            latest[code] = (code, EVIDENCE[event.kind] * _fade(day - event.day), event.kind in FOR_CART)
    related = _related(
        (code, strength, of_cart if is_for_cart else of_look) for code, strength, is_for_cart in latest.values()
    )
    viewed = [(code, AGAIN * strength) for code, strength, is_for_cart in latest.values() if not is_for_cart]
    again = np.array([code for code, _ in viewed], dtype=np.int64)
    strengths = np.array([strength for _, strength in viewed])
    return (
        np.concatenate([related[0], again]),
        np.concatenate([related[1], strengths]),
        np.concatenate([related[2], again]),
    )


def _fade(days: float) -> float:
    """How much an event of that age speaks, of a new one: most of it is about the visit, some about the person."""
    age = max(days, 0.0)
    lasting = LASTING_SHARE * 0.5 ** (age / TASTE_HALF_LIFE_DAYS)
    return lasting + (1 - LASTING_SHARE) * 0.5 ** (age / HALF_LIFE_DAYS)


def _related(starts: Iterable[tuple[int, float, tuple[ProductRows, ...]]]) -> tuple[Codes, Numbers, Codes]:
    """Products related to some (product, weight, kinds of related ones), how strongly, and to which of them."""
    products = [np.empty(0, np.int64)]
    strengths = [np.empty(0)]
    sources = [np.empty(0, np.int64)]
    for code, weight, kinds in starts:
        for rows in kinds:
            part = rows.row(code)[:RELATED]
            products.append(part.astype(np.int64))
            strengths.append(weight * rows.value(STRENGTH, code)[:RELATED].astype(np.float64))
            sources.append(np.full(len(part), code))
    return np.concatenate(products), np.concatenate(strengths), np.concatenate(sources)


def _noisy_or(place: Codes, strength: Numbers, count: int) -> Numbers:
    """1 less the product of what each strength leaves."""
    left = np.log1p(-np.minimum(strength, 0.999))
    return 1 - np.exp(np.bincount(place, weights=left, minlength=count))
