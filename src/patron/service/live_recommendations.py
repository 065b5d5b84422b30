"""Recommendations for shoppers who are there now: a list in milliseconds, from the last run and every event since.

The index and what shoppers did lately are held in memory; another run, an erasure or another policy.toml gives another
index, which is made in the background while the old one answers.
"""

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from patron.collect.request import Request
from patron.govern.outreach.list_signatures import EXPECTED_CLICKS, INTERESTS, signed_properties
from patron.govern.privacy.consent_ledger import history, latest_answer
from patron.govern.vault import Vault
from patron.recommenders.lists.exclusions import Exclusion
from patron.recommenders.live.exploration import RegretBudget
from patron.recommenders.live.list_maker import ListedProduct, ListMaker, ListRequest, ProductList
from patron.recommenders.live.recommendation_index import UNKNOWN
from patron.recommenders.live.scenarios import Scenario
from patron.recommenders.live.session_memory import SessionEvent, SessionMemory
from patron.schema.errors import BadRequest, NoRunYet, NotFound
from patron.schema.sentences import Sentence
from patron.service.list_learning import ListLearning
from patron.service.profile_reader import read_profiles
from patron.service.recommendation_answers import (
    Recommendation,
    RecommendationQuery,
    RecommendationReason,
    RecommendedProduct,
)
from patron.service.recommendation_source import RecommendationSource, load_source, source_key
from patron.service.session_events import ShopperEvents, day_of, events_of_profile, events_of_request, time_of
from patron.storage.offers.policy import PROFILING
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot

ADD_SCENARIO = Sentence("add_scenario", "Use {names}, or add it to [recommendations.scenarios] of policy.toml.")
PRODUCT_UNKNOWN = Sentence("product_unknown", "no list knows this product")
NO_SCENARIO = Sentence("no_scenario", "there is no scenario {name!r}")
REQUEST_NEW_LIST = Sentence("request_new_list", "Request a new list.")
IMPORT_THEN_RUN = Sentence("import_then_run", "Import it, then run `patron run`.")
NO_INDEX = Sentence("no_index", "there is no index")
LIST_NOT_KEPT = Sentence("list_not_kept", "this list is no longer kept")

log = logging.getLogger(__name__)
MESSAGE = "message"
"""Scenario of lists that are sent to people."""
MAX_LISTS = 5_000
"""Lists whose next page can be requested: the newest."""
ID_BYTES = 12
MAX_READ = 100_000
MAX_KEPT_ALLOWED = 1_000
"""A list of a longer choice of products has no next page."""
CHECK_SECONDS, CHECK_WITHOUT_RUN_SECONDS = 1.0, 10.0
"""How often it is looked whether there is another run; before any the index is made anew each time."""
WARM_UP = timedelta(days=1)
"""How long after the start shoppers are looked up in stored profiles when nothing is remembered of them."""


@dataclass(frozen=True)
class _ShownList:
    """What a next page is made from."""

    request: ListRequest
    list_id: str
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
    _source: RecommendationSource | None = None
    _maker: ListMaker | None = None
    _checked_at: datetime | None = None
    _started_at: datetime | None = None
    _read: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Tokens whose stored profiles were read."""
    _lists: OrderedDict[str, _ShownList] = field(default_factory=OrderedDict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _is_loading: bool = False

    def __post_init__(self) -> None:
        """Open the vault, which signs lists. Raises MasterKeyError."""
        self.vault = Vault.open(self.shop)
        self.learning = ListLearning(self.vault)

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
        return self._answer(shown, made, next_page="" if query.is_preview else secrets.token_urlsafe(ID_BYTES))

    def warm_up(self, *, now: datetime) -> None:
        """Make a list for nobody, so that what lists need is loaded and compiled before a shopper waits for it."""
        self.recommend(RecommendationQuery(is_public=True, is_preview=True), now=now)

    def why_not(self, query: RecommendationQuery, product_id: str, *, now: datetime) -> Exclusion | None:
        """Why a product is not in the preview of a list; None where it is.

        Of a product that no recommender proposed, the rule that excludes it all the same is the reason. Raises NotFound
        for an unknown product, BadRequest for a scenario that does not exist.
        """
        shown, rng = self._request(replace(query, is_preview=True), now), np.random.default_rng(0)
        code = shown.source.index.code(product_id)
        if code == UNKNOWN:
            raise NotFound(PRODUCT_UNKNOWN, where=product_id, todo=IMPORT_THEN_RUN)
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
        everything = {*tokens, *(source.tokens_of(customer_id) if customer_id else ())}
        is_profiled = self._allows(PROFILING, everything) is not False
        uses_history = is_profiled and not query.is_public
        customer = source.index.customers.code(customer_id) if uses_history else UNKNOWN
        request = ListRequest(
            scenario,
            day_of(now),
            customer=customer,
            session=self._session(tokens, now) if is_profiled else (),
            context=[code for product_id in query.product_ids if (code := source.index.code(product_id)) != UNKNOWN],
            count=query.k,
            allowed=_allowed_codes(query.only, source),
        )
        list_id = secrets.token_urlsafe(ID_BYTES)
        return _ShownList(request, list_id, query.scenario, customer != UNKNOWN, maker, source, ())

    def recommend_many(
        self, queries: Sequence[RecommendationQuery], *, now: datetime
    ) -> tuple[list[tuple[str, Recommendation]], int]:
        """Lists of users by their id, and how many have none as they may not be written to: of the scenario message."""
        rng = np.random.default_rng(secrets.randbits(64))
        _, source = self._ready(now)
        allowed = [query for query in queries if query.scenario != MESSAGE or self._may_contact(query, source)]
        lists = [(one.user_id or "", self.recommend(one, now=now, rng=rng)) for one in allowed]
        return lists, len(queries) - len(allowed)

    def observe(self, requests: Iterable[Request]) -> None:
        """Remember what accepted messages say of shoppers; nothing before the first list was requested."""
        maker, source = self._maker, self._source
        if maker is None or source is None:
            return
        for request in requests:
            for event in events_of_request(request):
                # why one: what a user does is theirs, whoever else uses the device
                token = next(iter(self._tokens(event)), None)
                if token is not None and token not in self.vault.forgotten:
                    self.memory.add(token, event.events)
                    self.learning.learn(event, token, maker)

    def refresh(self, *, now: datetime) -> None:
        """Load the index again where a run, an erasure or the policy has changed; the old one answers meanwhile.

        What was learned since the run is kept until the next run has read it.
        """
        self.shop.reload_settings()
        view, before = _last_run_or_none(self.shop), self._source
        key = source_key(self.shop, view)
        if before is not None and before.key.newest_erasure != key.newest_erasure:
            self._drop_forgotten()
        if before is not None and view is not None and before.key == key:
            return
        source = load_source(self.shop, view, key, now=now)
        share = self.shop.policy.exploration.recommendation_share
        with self._lock:
            maker, budget = self._maker, RegretBudget(share)
            if before is not None and maker is not None and before.key.run == key.run:
                source = source.with_learning(before)
                budget = maker.budget if maker.budget.share == share else budget
            self._source, self._maker = source, ListMaker(source.index, source.weights, source.response, budget)
            if view is not None:
                self._lists.clear()  # why: each holds the index it was made from

    def _drop_forgotten(self) -> None:
        """Let nothing answer from what is remembered of people who were forgotten since."""
        self.vault.reload_forgotten()
        with self._lock:
            self.memory.forget(self.vault.forgotten)
            self.learning.forget_clicks()
            self._lists.clear()
            self._started_at = None  # why: profiles are read again for a day
            self._read.clear()

    def _ready(self, now: datetime) -> tuple[ListMaker, RecommendationSource]:
        with self._lock:
            self._started_at = self._started_at or now
            if self._maker is None or self._source is None:
                self._checked_at = now
                self.refresh(now=now)
            maker, source = self._maker, self._source
            if maker is None or source is None:  # why: never; it tells the type checker
                raise NoRunYet(NO_INDEX, where="recommendations")
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
            todo = ADD_SCENARIO(names=", ".join(policy.scenario_names))
            raise BadRequest(422, NO_SCENARIO(name=query.scenario[:40]), where="scenario", todo=todo)
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

    def _allows(self, purpose: str, tokens: Iterable[str]) -> bool | None:
        """The latest answer to a purpose under any of these tokens; None where there is none."""
        names = self.shop.policy.consent.names_of(purpose)
        return latest_answer(list(history(self.shop.store, sorted(tokens), names)))

    def _may_contact(self, query: RecommendationQuery, source: RecommendationSource) -> bool:
        tokens, customer_id = self._people(query, source)
        everything = {*tokens, *(source.tokens_of(customer_id) if customer_id else ())}
        consent = self.shop.policy.consent
        return consent.allows(is_granted=self._allows(consent.marketing, everything))

    def _session(self, tokens: Sequence[str], now: datetime) -> list[SessionEvent]:
        """What is remembered of a shopper; in the first day after a start also what was stored before it."""
        unread = [token for token in tokens if token not in self._read]
        if unread and self._started_at is not None and now - self._started_at < WARM_UP:
            profiles = read_profiles(self.shop, tokens=unread)
            for token in unread:
                if token in profiles:
                    self.memory.add(token, events_of_profile(profiles[token].recent_events))
                with self._lock:
                    self._read[token] = None
                    while len(self._read) > MAX_READ:
                        self._read.popitem(last=False)
        return self.memory.events(tokens)

    def _next_page(self, query: RecommendationQuery, rng: np.random.Generator) -> Recommendation:
        with self._lock:  # why all of it: two that continue a list at once must not get the same products
            shown = self._lists.get(query.next or "")
            if shown is None:
                todo = REQUEST_NEW_LIST
                raise NotFound(LIST_NOT_KEPT, where="next", todo=todo)
            count = shown.request.count if query.k is None else query.k
            first = len(shown.products) + 1
            request = replace(shown.request, hidden=shown.products, count=count, first_place=first)
            maker = ListMaker(shown.maker.index, shown.maker.weights, shown.maker.response)
            return self._answer(shown, maker.make(request, rng), next_page=query.next or "")

    def _answer(self, shown: _ShownList, made: ProductList, *, next_page: str) -> Recommendation:
        """The list with ids and names; kept under the token of its next page, unless that is empty."""
        index, source = shown.source.index, shown.source
        products = tuple(product.product for product in made.products)
        names = self.vault.reveal_identifiers([index.product_id(product) for product in products])
        first = len(shown.products) + 1
        answered = tuple(
            self._product(shown, one, name, position)
            for position, (one, name) in enumerate(zip(made.products, names, strict=True), start=first)
        )
        with self._lock:
            is_small = shown.request.allowed is None or len(shown.request.allowed) <= MAX_KEPT_ALLOWED
            if next_page and is_small and shown.source is self._source:
                self._lists[next_page] = replace(shown, products=shown.products + products)
                self._lists.move_to_end(next_page)
            while len(self._lists) > MAX_LISTS:
                self._lists.popitem(last=False)
        why_short = {str(name): count for name, count in made.why_short.items()}
        follows = next_page if next_page in self._lists and not why_short else None
        version, personal = source.index.version, shown.is_personal
        return Recommendation(
            shown.list_id,
            shown.scenario,
            model_version=version,
            is_personal=personal,
            products=answered,
            why_short=why_short,
            next=follows,
        )

    def _product(self, shown: _ShownList, listed: ListedProduct, product_id: str, position: int) -> RecommendedProduct:
        source, reason = shown.source, listed.reason
        about = source.index.product_id(reason.product) if reason.product != UNKNOWN else None
        return RecommendedProduct(
            product_id,
            position,
            product_name=source.product_names[listed.product].as_py(),
            price_cents=source.price_cents[listed.product].as_py(),
            click_probability=listed.click_probability,
            buy_probability=listed.buy_probability,
            propensity=listed.propensity,
            reason=RecommendationReason(
                reason.code,
                self.vault.reveal_identifiers([about])[0] if about else None,
                source.product_names[reason.product].as_py() if about else None,
                reason.days_since,
                reason.usual_days,
                *(None if day is None else time_of(day) for day in (reason.offer_starts_day, reason.offer_ends_day)),
            ),
            event=self._event(shown, product_id, position, listed),
        )

    def _event(self, shown: _ShownList, product_id: str, position: int, listed: ListedProduct) -> dict[str, Any]:
        """Properties that the page sends back about a place."""
        place = {"list_id": shown.list_id, "scenario": shown.scenario, "product_id": product_id, "position": position}
        numbers = {"propensity": listed.propensity, EXPECTED_CLICKS: 1_000 * listed.expected_clicks}
        interests = dict(zip(INTERESTS, listed.interests, strict=True))
        return signed_properties(self.vault, place | numbers | interests)


def _allowed_codes(only: Sequence[str] | None, source: RecommendationSource) -> np.ndarray | None:
    if only is None:
        return None
    codes = np.unique(source.index.facts.codes(list(only)))
    return codes[codes != UNKNOWN]


def _last_run_or_none(shop: Shop) -> Snapshot | None:
    try:
        return last_run(shop)
    except NoRunYet:
        return None
