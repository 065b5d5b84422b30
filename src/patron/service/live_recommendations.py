"""Recommendations for shoppers who are there now: a list in milliseconds, from the last run and every event since.

The index and what shoppers did lately are held in memory; another run, an erasure or another policy.toml gives another
index, which is made in the background while the old one answers.
"""

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from patron.collect.request import Request
from patron.govern.consent_ledger import history, latest_answer
from patron.govern.list_signatures import EXPECTED_CLICKS, INTERESTS, interests_of, is_ours, signed_properties
from patron.govern.vault import Vault
from patron.recommenders.lists.exclusions import Exclusion
from patron.recommenders.live.exploration import RegretBudget
from patron.recommenders.live.list_maker import ListedProduct, ListMaker, ListRequest, ProductList
from patron.recommenders.live.list_reasons import ReasonCode
from patron.recommenders.live.recommendation_index import UNKNOWN
from patron.recommenders.live.scenarios import Scenario
from patron.recommenders.live.session_memory import ORDER, SessionEvent, SessionMemory
from patron.schema.errors import BadRequest, NoRunYet, NotFound
from patron.schema.numbers import Numbers
from patron.service.profile_reader import read_profiles
from patron.service.recommendation_source import RecommendationSource, load_source, source_key
from patron.service.session_events import Feedback, ShopperEvents, day_of, events_of_profile, events_of_request
from patron.storage.last_run import last_run
from patron.storage.shop import Shop, Snapshot

log = logging.getLogger(__name__)
PROFILING = "profiling"
"""Purpose to which a customer may object: their lists then follow the page alone."""
MESSAGE = "message"
"""Scenario of lists that are sent to people."""
MOST_LISTS = 20_000
"""Lists whose next page can be requested: the newest."""
CHECK_SECONDS, CHECK_WITHOUT_RUN_SECONDS = 1.0, 10.0
"""How often it is looked whether there is another run; before any the index is made anew each time."""
WARM_UP = timedelta(days=1)
"""How long after the start shoppers are looked up in stored profiles when nothing is remembered of them."""
CLICK_TO_ORDER_DAYS = 1.0
"""An order so long after a click on a list counts for it."""


@dataclass(frozen=True)
class RecommendationQuery:
    """Who is there and where; at most one of the three ids, which may be unknown."""

    scenario: str = "home"
    user_id: str | None = None
    anonymous_id: str | None = None
    customer_id: str | None = None
    product_ids: Sequence[str] = ()
    """Products of the page or the cart."""
    only: Sequence[str] | None = None
    """Only these products."""
    k: int | None = None
    """Products; by default as many as the scenario has."""
    min_relevance: float | None = None
    """Least click probability, 0 to 1; by default that of policy.toml."""
    next: str | None = None
    """Continue a list: its products after those that were answered."""
    is_preview: bool = False
    """For staff: no place is explored, the list is not kept and has no next page."""


@dataclass(frozen=True)
class RecommendationReason:
    """Why a product is in a list, with its facts."""

    code: ReasonCode
    product_id: str | None = None
    """The other product that it is about."""
    product_name: str | None = None
    days_since: float | None = None
    """Days since the customer last bought it."""
    usual_days: float | None = None
    """Days between the customer's purchases of it."""


@dataclass(frozen=True)
class RecommendedProduct:
    """One product of a list."""

    product_id: str
    position: int
    product_name: str | None
    price_cents: int | None
    click_probability: float
    buy_probability: float
    propensity: float
    """Probability with which this product was chosen for its place."""
    reason: RecommendationReason
    event: Mapping[str, Any]
    """Properties to send with Recommendation Shown, Clicked or Hidden."""


@dataclass(frozen=True)
class Recommendation:
    """A list, and what it was made from."""

    list_id: str
    scenario: str
    model_version: str
    """The run that the list rests on; empty before any run."""
    is_personal: bool
    """Whether the customer's history was used."""
    products: tuple[RecommendedProduct, ...]
    why_short: Mapping[str, int]
    """Of a list that is shorter than asked for: how many products each rule left out."""
    next: str | None
    """Pass it to get what follows in this list; None at its end."""


@dataclass(frozen=True)
class _ShownList:
    """What a next page is made from."""

    request: ListRequest
    scenario: str
    is_personal: bool
    maker: ListMaker
    source: RecommendationSource
    products: tuple[int, ...]


@dataclass(eq=False)
class LiveRecommendations:
    """Lists of one shop; safe to use from several threads."""

    shop: Shop
    memory: SessionMemory = field(default_factory=SessionMemory)
    rejected_feedback: int = 0
    """Feedback about lists that we never made, which teaches nothing."""
    _source: RecommendationSource | None = None
    _maker: ListMaker | None = None
    _checked_at: datetime | None = None
    _started_at: datetime | None = None
    _clicks: OrderedDict[tuple[str, str], tuple[float, Numbers]] = field(default_factory=OrderedDict)
    """When a shopper clicked a product of a list, and what each source had added to its rate."""
    _lists: OrderedDict[str, _ShownList] = field(default_factory=OrderedDict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _is_loading: bool = False

    def __post_init__(self) -> None:
        """Open the vault, which signs lists. Raises MasterKeyError."""
        self.vault = Vault.open(self.shop)

    def recommend(
        self, query: RecommendationQuery, *, now: datetime, rng: np.random.Generator | None = None
    ) -> Recommendation:
        """One list. `rng` chooses what is tried; by default one that nobody can foresee.

        Raises NotFound for a list that is not kept any more, BadRequest for a scenario that does not exist.
        """
        rng = rng or np.random.default_rng(secrets.randbits(64))
        if query.next:
            return self._next_page(query, rng)
        shown = self._request(query, now)
        made = shown.maker.make(shown.request, rng)
        return self._answer(secrets.token_urlsafe(12), shown, made, is_kept=not query.is_preview)

    def why_not(self, query: RecommendationQuery, product_id: str, *, now: datetime) -> Exclusion | None:
        """Why a product is not in the preview of a list; None where it is.

        Of a product that no recommender proposed, the rule that excludes it all the same is the reason. Raises NotFound
        for an unknown product, BadRequest for a scenario that does not exist.
        """
        shown, rng = self._request(replace(query, is_preview=True), now), np.random.default_rng(0)
        code = shown.source.index.code(product_id)
        if code == UNKNOWN:
            raise NotFound("lists do not know this product", where=product_id, todo="Import it, then run `patron run`.")
        exclusion = shown.maker.make(shown.request, rng).why_not(code)
        if exclusion != "no_candidate":
            return exclusion
        alone = replace(shown.request, allowed=np.array([code]), count=1)
        return shown.maker.make(alone, rng).why_not(code) or exclusion

    def _request(self, query: RecommendationQuery, now: datetime) -> _ShownList:
        """What a first page is made from."""
        maker, source = self._ready(now)
        if query.is_preview:
            maker = ListMaker(maker.index, maker.weights, maker.response)
        scenario = self._scenario(query)
        tokens, customer_id = self._people(query, source)
        is_profiled = self._may_profile(tokens)
        customer = source.index.customers.code(customer_id) if is_profiled else UNKNOWN
        request = ListRequest(
            scenario,
            day_of(now),
            customer,
            self._session(tokens, now) if is_profiled else (),
            [code for one in query.product_ids if (code := source.index.code(one)) != UNKNOWN],
            count=query.k,
            allowed=_allowed(query.only, source),
        )
        return _ShownList(request, query.scenario, customer != UNKNOWN, maker, source, ())

    def recommend_many(
        self, queries: Sequence[RecommendationQuery], *, now: datetime
    ) -> tuple[list[tuple[str, Recommendation]], int]:
        """Lists of users by their id, and how many have none as they may not be written to: of the scenario message."""
        rng = np.random.default_rng(secrets.randbits(64))
        allowed = [one for one in queries if one.scenario != MESSAGE or self._may_contact(self._tokens(one))]
        lists = [(one.user_id or "", self.recommend(one, now=now, rng=rng)) for one in allowed]
        return lists, len(queries) - len(allowed)

    def observe(self, requests: Iterable[Request]) -> None:
        """Remember what accepted messages say of shoppers; nothing before the first list was requested."""
        maker, source = self._maker, self._source
        if maker is None or source is None:
            return
        for request in requests:
            for one in events_of_request(request):
                for token in self._tokens(one):
                    self.memory.add(token, one.events)
                self._learn(one, maker, source)

    def refresh(self, *, now: datetime) -> None:
        """Load the index again where a run, an erasure or the policy has changed; the old one answers meanwhile."""
        view = _last_run_or_none(self.shop)
        key = source_key(self.shop, view)
        if self._source is not None and view is not None and self._source.key == key:
            return
        source = load_source(self.shop, view, key, now=now)
        if self._source is not None and self._source.key.newest_erasure != key.newest_erasure:
            self.memory.clear()
            self._clicks.clear()
        share = self.shop.policy.exploration.recommendation_share
        with self._lock:
            maker = ListMaker(source.index, source.weights, source.response, RegretBudget(share))
            self._source, self._maker = source, maker

    def _ready(self, now: datetime) -> tuple[ListMaker, RecommendationSource]:
        with self._lock:
            self._started_at = self._started_at or now
            if self._maker is None or self._source is None:
                self._checked_at = now
                self.refresh(now=now)
            maker, source = self._maker, self._source
            if maker is None or source is None:  # why: never; it tells the type checker
                raise NoRunYet("there is no index", where="recommendations")
            wait = CHECK_SECONDS if source.as_of else CHECK_WITHOUT_RUN_SECONDS
            is_due = self._checked_at is None or abs((now - self._checked_at).total_seconds()) >= wait
            if is_due and not self._is_loading:
                self._checked_at, self._is_loading = now, True
                threading.Thread(target=self._refresh_quietly, args=(now,), name="recommendations", daemon=True).start()
            return maker, source

    def _refresh_quietly(self, now: datetime) -> None:
        try:
            self.refresh(now=now)
        except Exception:  # why any: lists go on from the index that there is
            log.exception("the index of recommendations could not be read again")
        finally:
            self._is_loading = False

    def _scenario(self, query: RecommendationQuery) -> Scenario:
        policy = self.shop.policy.recommendations
        if query.scenario not in policy.scenario_names:
            todo = f"Use {', '.join(policy.scenario_names)}, or add it to [recommendations.scenarios] of policy.toml."
            raise BadRequest(422, f"there is no scenario {query.scenario[:40]!r}", where="scenario", todo=todo)
        settings = policy.of_scenario(query.scenario).model_dump()
        if query.min_relevance is not None:
            settings["least_click_probability"] = query.min_relevance
        return Scenario.of(query.scenario, policy.blocked, settings)

    def _people(self, query: RecommendationQuery, source: RecommendationSource) -> tuple[list[str], str | None]:
        """Tokens of the shopper, and the customer they are."""
        if query.customer_id:
            return list(source.tokens_of(query.customer_id)), query.customer_id
        tokens = self._tokens(query)
        return tokens, source.customer_of(tokens[0]) if tokens else None

    def _tokens(self, one: ShopperEvents | RecommendationQuery) -> list[str]:
        pairs = (("user_id", one.user_id), ("anonymous_id", one.anonymous_id))
        return [self.vault.token(kind, value) for kind, value in pairs if value]

    def _may_profile(self, tokens: Sequence[str]) -> bool:
        if not tokens:
            return True
        entries = list(history(self.shop.store, tokens, self.shop.policy.consent.names_of(PROFILING)))
        return latest_answer(entries) is not False

    def _may_contact(self, tokens: Sequence[str]) -> bool:
        consent = self.shop.policy.consent
        entries = list(history(self.shop.store, tokens, consent.names_of(consent.marketing)))
        return consent.allows(is_granted=latest_answer(entries))

    def _session(self, tokens: Sequence[str], now: datetime) -> list[SessionEvent]:
        unknown = [token for token in tokens if not self.memory.knows(token)]
        if unknown and self._started_at is not None and now - self._started_at < WARM_UP:
            profiles = read_profiles(self.shop, tokens=unknown)
            for token in unknown:
                known = profiles[token].recent_events if token in profiles else ()
                self.memory.add(token, events_of_profile(known))
        return self.memory.events(tokens)

    def _next_page(self, query: RecommendationQuery, rng: np.random.Generator) -> Recommendation:
        with self._lock:
            shown = self._lists.get(query.next or "")
        if shown is None:
            todo = "Request a new list."
            raise NotFound("this list is not kept any more", where="next", todo=todo)
        count = shown.request.count if query.k is None else query.k
        request = replace(shown.request, hidden=shown.products, count=count)
        maker = ListMaker(shown.maker.index, shown.maker.weights, shown.maker.response)
        return self._answer(query.next or "", shown, maker.make(request, rng))

    def _answer(self, list_id: str, shown: _ShownList, made: ProductList, *, is_kept: bool = True) -> Recommendation:
        """The list with ids and names; where it is kept it has a next page."""
        index, source = shown.source.index, shown.source
        products = tuple(one.product for one in made.products)
        names = self.vault.reveal_identifiers([index.product_id(one) for one in products])
        first = len(shown.products) + 1
        answered = tuple(
            self._product(list_id, shown, one, name, position)
            for position, (one, name) in enumerate(zip(made.products, names, strict=True), start=first)
        )
        with self._lock:
            if is_kept:
                self._lists[list_id] = replace(shown, products=shown.products + products)
                self._lists.move_to_end(list_id)
            while len(self._lists) > MOST_LISTS:
                self._lists.popitem(last=False)
        why_short = {str(name): count for name, count in made.why_short.items()}
        follows = None if why_short or not is_kept else list_id
        return Recommendation(
            list_id, shown.scenario, source.index.version, shown.is_personal, answered, why_short, follows
        )

    def _product(
        self, list_id: str, shown: _ShownList, listed: ListedProduct, product_id: str, position: int
    ) -> RecommendedProduct:
        source, reason = shown.source, listed.reason
        about = source.index.product_id(reason.product) if reason.product != UNKNOWN else None
        return RecommendedProduct(
            product_id,
            position,
            source.product_names[listed.product].as_py(),
            source.price_cents[listed.product].as_py(),
            listed.click_probability,
            listed.buy_probability,
            listed.propensity,
            RecommendationReason(
                reason.code,
                self.vault.reveal_identifiers([about])[0] if about else None,
                source.product_names[reason.product].as_py() if about else None,
                reason.days_since,
                reason.usual_days,
            ),
            self._event(list_id, shown.scenario, product_id, position, listed),
        )

    def _event(
        self, list_id: str, scenario: str, product_id: str, position: int, listed: ListedProduct
    ) -> dict[str, Any]:
        """Properties that the page sends back about a place."""
        place = {"list_id": list_id, "scenario": scenario, "product_id": product_id, "position": position}
        numbers = {"propensity": listed.propensity, EXPECTED_CLICKS: 1_000 * listed.expected_clicks}
        interests = dict(zip(INTERESTS, listed.interests, strict=True))
        return signed_properties(self.vault, place | numbers | interests)

    def _learn(self, one: ShopperEvents, maker: ListMaker, source: RecommendationSource) -> None:
        """Let clicks, looks and orders change what is expected of their products."""
        feedback = one.feedback
        if feedback is not None:
            self._learn_feedback(one, feedback, maker, source)
        elif one.events and one.events[0].kind == ORDER:
            tokens = self._tokens(one)
            for event in one.events:
                self._learn_order(event, tokens, maker, source)

    def _learn_order(
        self, order: SessionEvent, tokens: Sequence[str], maker: ListMaker, source: RecommendationSource
    ) -> None:
        code = source.index.code(order.product)
        clicked = [self._clicks.get((token, order.product)) for token in tokens]
        for day, shares in filter(None, clicked[:1]):
            if code != UNKNOWN and 0 <= order.day - day <= CLICK_TO_ORDER_DAYS:
                maker.response.add_order(code, shares)

    def _learn_feedback(
        self, one: ShopperEvents, feedback: Feedback, maker: ListMaker, source: RecommendationSource
    ) -> None:
        if not is_ours(self.vault, feedback.decision_id, feedback.product_id, feedback.properties):
            self.rejected_feedback += 1
            return
        code = source.index.code(feedback.product_id)
        if code == UNKNOWN:
            return
        if feedback.is_click:
            shares = maker.weights.shares(np.array([interests_of(feedback.properties)]))[0]
            maker.response.add_click(code, shares)
            for token in self._tokens(one):
                self._clicks[token, feedback.product_id] = one.events[0].day, shares
            while len(self._clicks) > MOST_LISTS:
                self._clicks.popitem(last=False)
        else:
            maker.response.expected_clicks[code] += float(feedback.properties[EXPECTED_CLICKS]) / 1_000


def _allowed(only: Sequence[str] | None, source: RecommendationSource) -> np.ndarray | None:
    if only is None:
        return None
    codes = {source.index.code(one) for one in only} - {UNKNOWN}
    return np.array(sorted(codes), dtype=np.int64)


def _last_run_or_none(shop: Shop) -> Snapshot | None:
    try:
        return last_run(shop)
    except NoRunYet:
        return None
