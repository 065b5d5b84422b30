"""The product's own recommendations on the simulated storefront: the night's index and the live lists, as in a shop.

Each night trains as a run does: item hazard on all purchases (weekly, folded in nightly), what its scores meant 28 days
before, related products from orders, visits and content, and what was shown and clicked. By day every event counts at
once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.predict.recommend.library_lists import FittedLists, ItemHazardLists
from patron.predict.recommend.list_probabilities import ListProbabilities
from patron.predict.recommend.ranking_origins import RankingOrigin
from patron.predict.recommend.related_products import BASKETS, SEQUENCES, alike_products, linked_products
from patron.recommenders.content import ProductVectors
from patron.recommenders.live.click_model import ClickWeights, ProductResponse
from patron.recommenders.live.exploration import RegretBudget
from patron.recommenders.live.index_tables import IndexTables, build_index
from patron.recommenders.live.list_maker import ListMaker
from patron.recommenders.live.list_maker import ListRequest as LiveRequest
from patron.recommenders.live.recommendation_index import RecommendationIndex
from patron.recommenders.live.scenarios import Scenario
from patron.recommenders.live.session_memory import SessionEvent, SessionMemory
from patron.schema.errors import NotEnoughData
from patron.simulate.storefront.storefront import Storefront
from patron.simulate.storefront.storefront_policy import ListRequest, ShopEvent, ShownList
from patron.storage.recommendations.recommendation_policy import RecommendationPolicy

RETRAIN_DAYS, HORIZON_DAYS, VISITS_DAYS = 7, 28, 90
KINDS = {"viewed": "view", "added": "cart_add", "clicked": "click", "bought": "order", "shown": "shown"}
EXPLORE = 0.02
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ServicePolicy:
    """Lists as `patron serve` makes them with the default policy.toml."""

    def __init__(self, shop: Storefront, seed: int, *, explore: float = EXPLORE) -> None:
        self.shop, self.explore = shop, explore
        self.rng = np.random.default_rng(seed)
        self.ids = shop.products.product_id
        self.names = self.ids.to_pylist()
        self.bought: list[tuple[float, int, int]] = []
        self.looks: list[tuple[float, int, int]] = []
        self.memory = SessionMemory()
        self.requests: dict[int, tuple] = {}
        self.shown: list[tuple[np.ndarray, int, bool]] = []
        self.feedback: dict[tuple[int, int], int] = {}
        self.clicked: dict[tuple[int, int], tuple[float, np.ndarray]] = {}
        self.fitted: FittedLists | None = None
        self.weights = ClickWeights()
        self.response = ProductResponse.unknown(len(self.ids))
        self.budget = RegretBudget(explore)
        policy = RecommendationPolicy()
        self.scenarios = {
            name: Scenario.of(name, (), policy.of_scenario(name).model_dump()) for name in ("home", "product")
        }
        self.maker = ListMaker(self._index(0, self._history(0)), self.weights, self.response, self.budget)

    def refresh(self, day: int) -> None:
        """Train at night."""
        history = self._history(day)
        if day % RETRAIN_DAYS == 0 and history.num_rows:
            self._train(day, history)
        if day % RETRAIN_DAYS == 0 and self.shown:
            rows = self.shown
            interests, places, is_clicked = (np.array(column) for column in zip(*rows, strict=True))
            self.weights = ClickWeights().fit(interests, places, is_clicked)
        self.maker = ListMaker(self._index(day, history), self.weights, self.response, self.budget)

    def _index(self, day: int, history: pa.Table) -> RecommendationIndex:
        tables = IndexTables(self._products(day), self._purchases(day), self._related(day), self._wanted(history))
        return build_index(tables, at_day=float(day), margin_share=0.3)

    def recommend(self, request: ListRequest) -> ShownList:
        """One list, of what is launched and in stock."""
        maker = self.maker
        person = f"v{request.visitor}"
        facts = maker.index.facts
        stock = np.where(request.is_available, np.nan, 0.0)
        np.copyto(facts.stock, stock)
        context = () if request.context_item is None else (request.context_item,)
        live = LiveRequest(
            self.scenarios[request.scenario],
            request.at,
            maker.index.customers.code(person),
            self.memory.events([person]),
            context,
            hidden=request.session_items,
            count=request.k,
        )
        made = maker.make(live, self.rng)
        items = [one.product for one in made.products]
        self.requests[request.request] = made.products
        return ShownList(items, [one.propensity for one in made.products])

    def observe(self, events: Sequence[ShopEvent]) -> None:
        """Remember events, and learn from those of lists."""
        by_person: Mapping[str, list[SessionEvent]] = defaultdict(list)
        for one in events:
            by_person[f"v{one.visitor}"].append(SessionEvent(one.at, KINDS[one.kind], self.names[one.item]))
            if one.kind == "bought":
                self.bought.append((one.at, one.visitor, one.item))
                clicked = self.clicked.get((one.visitor, one.item))
                if clicked and one.at - clicked[0] <= 1:
                    self.response.add_order(one.item, clicked[1])
            elif one.kind in {"viewed", "clicked", "added"}:
                self.looks.append((one.at, one.visitor, one.item))
            if one.request >= 0 and one.kind in {"shown", "clicked"}:
                self._learn(one)
        for person, of_person in by_person.items():
            self.memory.add(person, of_person)

    def _learn(self, one: ShopEvent) -> None:
        listed = self.requests[one.request][one.position - 1]
        key = one.request, one.position
        if one.kind == "shown":
            self.response.expected_clicks[one.item] += listed.expected_clicks
            self.feedback[key] = len(self.shown)
            self.shown.append((np.array([*listed.interests, 1.0]), one.position, False))
        elif key in self.feedback:
            self.response.add_click(one.item, listed.shares)
            self.clicked[one.visitor, one.item] = one.at, listed.shares
            interests, place, _ = self.shown[self.feedback[key]]
            self.shown[self.feedback[key]] = interests, place, True

    def _train(self, day: int, history: pa.Table) -> None:
        learner = ItemHazardLists()
        self.fitted = learner.fit(history)
        before = self._history(day - HORIZON_DAYS)
        try:
            earlier = learner.fit(before)
        except NotEnoughData:
            return
        after = [row for row in self.bought if day - HORIZON_DAYS <= row[0] < day]
        origin = RankingOrigin.of(
            EPOCH + timedelta(days=day - HORIZON_DAYS), before, self._rows(after, day - HORIZON_DAYS)
        )
        listed = origin.evaluate(earlier).listed
        if listed and listed.is_bought.any():
            self.fitted = replace(self.fitted, probabilities=ListProbabilities.fit(listed))

    def _history(self, day: int) -> pa.Table:
        return self._rows([row for row in self.bought if row[0] < day], day)

    def _rows(self, rows: list[tuple[float, int, int]], day: int) -> pa.Table:
        return pa.table(
            {
                "customer_id": pa.array([f"v{visitor}" for _, visitor, _ in rows], pa.string()),
                "product_id": pa.array([self.names[item] for _, _, item in rows], pa.string()),
                "days_before": pa.array([day - at for at, _, _ in rows], pa.float64()),
            }
        )

    def _wanted(self, history: pa.Table) -> pa.Table:
        columns = ("customer_id", "product_id", "probability", "days_since", "usual_days")
        if self.fitted is None or not history.num_rows:
            kinds = (pa.string(), pa.string(), pa.float64(), pa.float64(), pa.float64())
            empty = {name: pa.array([], kind) for name, kind in zip(columns, kinds, strict=True)}
            return pa.table({**empty, "because_product_id": pa.array([], pa.string())})
        lists = self.fitted.predict(history).select(columns)
        return lists.append_column("because_product_id", pa.nulls(lists.num_rows, pa.string()))

    def _products(self, day: int) -> pa.Table:
        products = self.shop.products
        return pa.table(
            {
                "product_id": self.ids,
                "known_day": products.launch_day.astype(np.float64),
                "category": [f"c{one}" for one in products.category_of],
                "brand": [f"b{one}" for one in products.brand_of],
                "style_id": [f"s{one}" for one in products.style_of],
                "price_cents": products.price_cents,
                "cost_cents": products.price_cents - products.margin_cents,
                "stock": pa.nulls(len(self.ids), pa.float64()),
                "is_consumable": products.is_consumable,
                "is_blocked": products.launch_day > day,
            }
        )

    def _purchases(self, day: int) -> pa.Table:
        rows = self._rows([row for row in self.bought if row[0] >= day - HORIZON_DAYS], day)
        return rows.rename_columns(["customer_id", "product_id", "days"]).append_column(
            "is_return", pa.array(np.zeros(rows.num_rows, dtype=bool))
        )

    def _related(self, day: int) -> pa.Table:
        if day % RETRAIN_DAYS and hasattr(self, "links"):
            return self.links
        orders = pa.table(
            {
                "user_id": pa.array([f"{visitor}/{int(at)}" for at, visitor, _ in self.bought], pa.string()),
                "item_id": pa.array([self.names[item] for _, _, item in self.bought], pa.string()),
            }
        )
        recent = [row for row in self.looks if row[0] >= day - VISITS_DAYS]
        visits = pa.table(
            {
                "user_id": pa.array([f"v{visitor}" for _, visitor, _ in recent], pa.string()),
                "item_id": pa.array([self.names[item] for _, _, item in recent], pa.string()),
                "at": pa.array([86_400.0 * at for at, _, _ in recent], pa.float64()),
            }
        )
        products = self.shop.products
        described = pa.table(
            {
                "product_id": self.ids,
                "name": products.product_name,
                "category": [f"c{one}" for one in products.category_of],
                "brand": [f"b{one}" for one in products.brand_of],
                "price_cents": products.price_cents,
            }
        )
        self.links = pa.concat_tables(
            [
                linked_products(BASKETS, orders, "together"),
                linked_products(SEQUENCES, visits, "follows"),
                alike_products(ProductVectors.of(described), self.ids),
            ]
        )
        return self.links
