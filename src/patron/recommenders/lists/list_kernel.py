"""The greedy choice, row by row: filters first, then one place after the other.

A place goes to the candidate with the best score among those that no cap excludes; ties go to the more relevant one,
then to the lower number:

    score = (1 - diversity) x relevance / highest relevance - diversity x highest similarity to the list so far

Places of the long tail are reserved first: the same choice, among its products alone. They compete for every place,
and take the last ones where others are ahead. Caps count reserved products as if they were in the list.

Maximal marginal relevance: Carbonell and Goldstein (SIGIR 1998). A row costs O(k x candidates x dimensions), nothing
of it grows with the catalogue.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from patron.recommenders.best_items import Flags
from patron.recommenders.ids import Codes
from patron.recommenders.lists.exclusions import (
    BOUGHT_RECENTLY,
    CATEGORY_FULL,
    EXCLUSIONS,
    HIDDEN,
    LISTED,
    LOW_RELEVANCE,
    LOWER_RANK,
    NO_CANDIDATE,
    NO_RULE,
    NOT_WITH_PAGE,
    ON_PAGE,
    RETURNED,
    SAME_STYLE,
)
from patron.recommenders.lists.product_facts import Vectors
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

ELIGIBLE, RESERVED = -2, -3
"""Of candidates that are not in the list yet; those that are excluded have 0 or more."""
ANYTHING, ONLY_RESERVED, ONLY_TAIL = 0, 1, 2
"""Which candidates compete for a place."""
ALIKE_CATEGORY, ALIKE_BRAND = 0.5, 0.3
"""Similarity of products without vectors that share a category, a brand; those of a style have 1."""
REASONS = len(EXCLUSIONS)


class Products(NamedTuple):
    """Facts by product."""

    excluded: npt.NDArray[np.int8]
    style: Codes
    category: Codes
    brand: Codes
    is_consumable: Flags
    is_tail: Flags
    vectors: Vectors
    has_vector: Flags


class ItemHistory(NamedTuple):
    """Products of each row, and days since."""

    starts: Codes
    items: Codes
    days: Numbers


class ItemHistories(NamedTuple):
    """What customers did, by kind."""

    bought: ItemHistory
    returned: ItemHistory
    hidden: ItemHistory
    on_page: ItemHistory
    not_with_page: ItemHistory


class Limits(NamedTuple):
    """Rules as numbers."""

    bought_days: float
    returned_days: float
    min_relevance: float
    one_per_style: bool
    most_per_category: int
    tail_places: int
    diversity: float


class Pool(NamedTuple):
    """Distinct candidates of a row, by number of the product."""

    item: Codes
    relevance: Numbers
    share: Numbers
    """Relevance as a share of the highest of those that no filter excludes, times its weight."""
    nearest: Numbers
    """Highest similarity to the list so far, times its weight."""
    state: Codes
    style: Codes
    category: Codes
    brand: Codes
    is_tail: Flags
    has_vector: Flags
    place: Codes
    """Which of them each candidate of the row is; longer than the others where candidates repeat."""


@kernel(nogil=True)
def greedy_lists(starts, item, relevance, products, histories, limits, k):  # noqa: ANN001, ANN201, PLR0913, PLR0917
    """Items and relevance of each list, an exclusion per candidate, and their number per row."""
    rows = len(starts) - 1
    items, of_items = np.full((rows, k), -1, dtype=np.int64), np.full((rows, k), np.nan)
    exclusion, counts = np.empty(len(item), dtype=np.int8), np.zeros((rows, REASONS), dtype=np.int32)
    widest = starts[0]
    for row in range(rows):
        widest = max(widest, starts[row + 1] - starts[row])
    pool = _new_pool(widest)
    for row in range(rows):
        start, end = starts[row], starts[row + 1]
        size = _fill_pool(pool, item[start:end], relevance[start:end], products)
        _filter(pool, size, row, products, histories, limits)
        _choose(pool, size, products, limits, items[row], of_items[row])
        for at in range(size):
            if pool.state[at] == ELIGIBLE:
                pool.state[at] = LOWER_RANK
            if pool.state[at] != LISTED:
                counts[row, pool.state[at]] += 1
        counts[row, NO_CANDIDATE] = max(k - size, 0)
        for at in range(end - start):
            exclusion[start + at] = pool.state[pool.place[at]]
    return items, of_items, exclusion, counts


@kernel(nogil=True)
def _new_pool(size):  # noqa: ANN001, ANN202
    return Pool(
        np.empty(size, dtype=np.int64),
        np.empty(size),
        share=np.empty(size),
        nearest=np.empty(size),
        state=np.empty(size, dtype=np.int64),
        style=np.empty(size, dtype=np.int64),
        category=np.empty(size, dtype=np.int64),
        brand=np.empty(size, dtype=np.int64),
        is_tail=np.empty(size, dtype=np.bool_),
        has_vector=np.empty(size, dtype=np.bool_),
        place=np.empty(size, dtype=np.int64),
    )


@kernel(nogil=True)
def _fill_pool(pool, item, relevance, products):  # noqa: ANN001, ANN202
    """Put the distinct candidates into the pool, each with its best relevance; return how many there are."""
    is_sorted = True
    for at in range(1, len(item)):
        is_sorted &= item[at - 1] <= item[at]
    order = np.arange(len(item)) if is_sorted else np.argsort(item)
    size = 0
    for place in order:
        number = item[place]
        if size == 0 or pool.item[size - 1] != number:
            pool.item[size], pool.relevance[size] = number, relevance[place]
            pool.style[size], pool.category[size] = products.style[number], products.category[number]
            pool.brand[size], pool.is_tail[size] = products.brand[number], products.is_tail[number]
            pool.has_vector[size] = products.has_vector[number]
            size += 1
        else:
            pool.relevance[size - 1] = max(pool.relevance[size - 1], relevance[place])
        pool.place[place] = size - 1
    return size


@kernel(nogil=True)
def _filter(pool, size, row, products, histories, limits):  # noqa: ANN001, ANN202
    """Exclude what no list of this row may have; the first rule in the order of EXCLUSIONS is the reason."""
    bought_styles = _recent_styles(histories.bought, row, limits.bought_days, products.style)
    returned_styles = _recent_styles(histories.returned, row, limits.returned_days, products.style)
    hidden_styles = _recent_styles(histories.hidden, row, np.inf, products.style)
    page_styles = _recent_styles(histories.on_page, row, np.inf, products.style)
    apart_styles = _recent_styles(histories.not_with_page, row, np.inf, products.style)
    for at in range(size):
        state = ELIGIBLE
        if pool.relevance[at] < limits.min_relevance:
            state = LOW_RELEVANCE
        excluded = products.excluded[pool.item[at]]
        if excluded != NO_RULE:
            state = excluded
        if excluded == NO_RULE or excluded > BOUGHT_RECENTLY:
            if not products.is_consumable[pool.item[at]] and _contains(bought_styles, pool.style[at]):
                state = BOUGHT_RECENTLY
            if _contains(returned_styles, pool.style[at]):
                state = RETURNED
            if _contains(apart_styles, pool.style[at]):
                state = NOT_WITH_PAGE
            if _contains(page_styles, pool.style[at]):
                state = ON_PAGE
            if _contains(hidden_styles, pool.style[at]):
                state = HIDDEN
        pool.state[at] = state


@kernel(nogil=True)
def _recent_styles(past, row, within_days, style):  # noqa: ANN001, ANN202
    """Styles of what happened within so many days, sorted."""
    count = 0
    for at in range(past.starts[row], past.starts[row + 1]):
        count += past.items[at] >= 0 and past.days[at] < within_days
    styles, count = np.empty(count, dtype=np.int64), 0
    for at in range(past.starts[row], past.starts[row + 1]):
        if past.items[at] >= 0 and past.days[at] < within_days:
            styles[count] = style[past.items[at]]
            count += 1
    return styles[np.argsort(styles)]


@kernel(nogil=True)
def _contains(values, value):  # noqa: ANN001, ANN202
    if len(values) == 0:
        return False
    at = np.searchsorted(values, value)
    return at < len(values) and values[at] == value


@kernel(nogil=True)
def _choose(pool, size, products, limits, items, of_items):  # noqa: ANN001, ANN202
    """Fill the list; states of candidates say what is in it, and what its caps exclude."""
    _share_relevance(pool, size, limits.diversity)
    k, reserved = len(items), 0
    while reserved < limits.tail_places:
        at = _best_candidate(pool, size, ONLY_TAIL)
        if at < 0:
            break
        pool.state[at] = RESERVED
        reserved += 1
        _apply_caps(pool, size, at, limits)
        _raise_nearest(pool, size, at, products.vectors, limits.diversity)
    if reserved:
        pool.nearest[:size] = 0.0
    for count in range(k):
        which = ONLY_RESERVED if reserved and k - count <= reserved else ANYTHING
        at = _best_candidate(pool, size, which)
        if at < 0:
            break
        if pool.state[at] == RESERVED:
            reserved -= 1
            pool.state[at] = LISTED
        else:
            pool.state[at] = LISTED
            _apply_caps(pool, size, at, limits)
        items[count], of_items[count] = pool.item[at], pool.relevance[at]
        if count + 1 < k:
            _raise_nearest(pool, size, at, products.vectors, limits.diversity)


@kernel(nogil=True)
def _share_relevance(pool, size, diversity):  # noqa: ANN001, ANN202
    """Weigh relevance; nothing is in the list yet. Without diversity, relevance stays as it is: no tie by rounding."""
    highest = 0.0
    for at in range(size):
        if pool.state[at] == ELIGIBLE:
            highest = max(highest, pool.relevance[at])
    for at in range(size):
        pool.nearest[at], pool.share[at] = 0.0, pool.relevance[at]
        if diversity > 0 and highest > 0:
            pool.share[at] *= (1 - diversity) / highest


@kernel(nogil=True)
def _best_candidate(pool, size, which):  # noqa: ANN001, ANN202
    """Place of the best score among those that compete, -1 without any."""
    best, best_score = -1, -np.inf
    for at in range(size):
        state = pool.state[at]
        if state != RESERVED if which == ONLY_RESERVED else state > ELIGIBLE:
            continue
        if which == ONLY_TAIL and (state != ELIGIBLE or not pool.is_tail[at]):
            continue
        score = pool.share[at] - pool.nearest[at]
        if best < 0 or score > best_score or (score == best_score and pool.relevance[at] > pool.relevance[best]):
            best, best_score = at, score
    return best


@kernel(nogil=True)
def _apply_caps(pool, size, newest, limits):  # noqa: ANN001, ANN202
    """Exclude what the newest product of the list, or a reserved one, leaves no room for."""
    category, count = pool.category[newest], 0
    if category >= 0:
        for at in range(size):
            count += pool.category[at] == category and (pool.state[at] == LISTED or pool.state[at] == RESERVED)
    is_full = category >= 0 and count >= limits.most_per_category
    for at in range(size):
        if pool.state[at] != ELIGIBLE:
            continue
        if limits.one_per_style and pool.style[at] == pool.style[newest]:
            pool.state[at] = SAME_STYLE
        elif is_full and pool.category[at] == category:
            pool.state[at] = CATEGORY_FULL


@kernel(nogil=True)
def _raise_nearest(pool, size, newest, vectors, diversity):  # noqa: ANN001, ANN202
    """Let those that may still come know how like the newest product of the list they are.

    Similarity is 1 within a style, else the cosine of both vectors, or what category and brand say where one has none.
    """
    if diversity == 0:
        return
    item = pool.item
    style = pool.style
    category = pool.category
    brand = pool.brand
    state = pool.state
    nearest = pool.nearest
    has_vector = pool.has_vector
    for at in range(size):
        if state[at] > ELIGIBLE:
            continue
        if style[at] == style[newest]:
            alike = 1.0
        elif has_vector[at] and has_vector[newest]:
            alike = min(max(_dot(vectors, item[at], item[newest]), 0.0), 1.0)
        else:
            is_category = category[at] >= 0 and category[at] == category[newest]
            is_brand = brand[at] >= 0 and brand[at] == brand[newest]
            alike = ALIKE_CATEGORY * is_category + ALIKE_BRAND * is_brand
        nearest[at] = max(nearest[at], diversity * alike)


@kernel(nogil=True, fastmath={"reassoc", "contract"})
def _dot(vectors, one, other):  # noqa: ANN001, ANN202
    total = np.float32(0.0)
    for at in range(vectors.shape[1]):
        total += vectors[one, at] * vectors[other, at]
    return float(total)
