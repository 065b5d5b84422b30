"""Recommendations for a page or a mail: who is there comes in a body, and a user's own id with a secret key only."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, needs, needs_nothing
from patron.interfaces.http.access.customer_scope import rows_of, visible_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.recommendation_texts import SHOPPER, recommendation_sentence
from patron.interfaces.i18n.translations import words
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import BadKey
from patron.schema.sentences import Sentence
from patron.service.live_recommendations import LiveRecommendations
from patron.service.recommendation_answers import Recommendation, RecommendationQuery
from patron.service.recommendation_preview import PreviewQuery, RecommendationPreview, preview_recommendations
from patron.storage.settings import ShopSettings

LISTS_FROM_SERVER = Sentence(
    "lists_from_server", "Request lists of users from the shop's server with a secret key, or send anonymous_id alone."
)
WRITE_KEY_PUBLIC = Sentence("write_key_public", "a write key is public, and lists of users say what they bought")

PATH = "/api/recommendations"
DECIMALS = 6
MAX_PRODUCTS = 100
MAX_ONLY = 10_000
MAX_PEOPLE = 1_000
MAX_ASKED = 100
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ScenarioName = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Count = Annotated[int, Field(ge=1, le=MAX_ASKED)]
Share = Annotated[float, Field(ge=0, le=1)]


class ListBody(BaseModel):
    """Where the list stands, and what may be in it."""

    model_config = ConfigDict(extra="forbid")

    scenario: ScenarioName = "home"
    product_ids: list[Id] = Field(default=[], max_length=MAX_PRODUCTS)
    """Products of the page or the cart."""
    only: list[Id] | None = Field(default=None, max_length=MAX_ONLY)
    """Only these products."""
    k: Count | None = None
    """Products; by default as many as policy.toml says."""
    min_relevance: Share | None = None
    """Least click probability."""


class ShopperBody(ListBody):
    """Who is there, identified in one way or not at all; or the list to continue."""

    user_id: Id | None = None
    anonymous_id: Id | None = None
    customer_id: Id | None = None
    next: Id | None = None

    @model_validator(mode="after")
    def _in_one_way(self) -> Self:
        if self.customer_id and (self.user_id or self.anonymous_id):
            raise ValueError("identify the shopper by customer_id, or by user_id and anonymous_id")
        return self


class BatchBody(ListBody):
    """Many people, each with a list of the same scenario."""

    user_ids: list[Id] = Field(max_length=MAX_PEOPLE)
    scenario: ScenarioName = "message"


class ReasonText(BaseModel):
    """Why a product is in the list: its code and facts, and sentences for the shopper."""

    code: str
    product_id: str | None
    product_name: str | None
    days_since: float | None
    usual_days: float | None
    offer_starts_at: datetime | None
    offer_ends_at: datetime | None
    texts: dict[str, str]
    """By language: en, zh-CN."""


class ListedProduct(BaseModel):
    """One product of a list."""

    product_id: str
    position: int
    product_name: str | None
    price_cents: int | None
    click_probability: float
    buy_probability: float
    propensity: float
    reason: ReasonText
    event: dict[str, Any]
    """Properties to send with Recommendation Shown, Clicked or Hidden."""


class RecommendationList(BaseModel):
    """A list, and what it was made from."""

    list_id: str
    scenario: str
    model_version: str
    is_personal: bool
    products: list[ListedProduct]
    why_short: dict[str, int]
    next: str | None


class BatchList(BaseModel):
    """The list of one person of a batch."""

    user_id: str
    recommendation: RecommendationList


class RecommendationBatch(BaseModel):
    """Lists of many people."""

    lists: list[BatchList]
    refused_count: int
    """People who may not be written to: they have no list for messages."""


of_this_machine = APIRouter(
    tags=["recommendations"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)]
)
of_shoppers = APIRouter(tags=["recommendations of shoppers"], route_class=GuardedRoute)
of_browsers = APIRouter(include_in_schema=False, route_class=GuardedRoute)
"""What a browser asks before it sends the request of a page of another site, without its key."""
of_servers = APIRouter(tags=["recommendations of many"], route_class=GuardedRoute)
ROUTERS = (of_this_machine, of_shoppers, of_browsers, of_servers)


def recommendations_of(request: Request) -> LiveRecommendations:
    """The lists of the application's shop."""
    return request.app.state.recommendations


@of_this_machine.get(PATH)
@needs(Action.READ, Area.RECOMMENDATIONS)
def recommend(
    request: Request,
    scenario: Annotated[str, Query(max_length=40)] = "home",
    k: Annotated[int | None, Query(ge=1, le=MAX_ASKED)] = None,
    product_id: Annotated[list[str], Query(max_length=MAX_PRODUCTS)] = [],  # noqa: B006 - FastAPI copies it
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
) -> RecommendationList:
    """A list for a customer by Patron's own id, or for nobody in particular."""
    query = RecommendationQuery(scenario, customer_id=customer_id, product_ids=product_id, k=k)
    lists = recommendations_of(request)
    return _with_texts(lists.recommend(query, now=datetime.now(UTC)), lists.shop.settings.shop)


@of_this_machine.get(f"{PATH}/preview")
@needs(Action.READ, Area.RECOMMENDATIONS)
def preview(
    request: Request,
    scenario: Annotated[str, Query(max_length=40)] = "home",
    customer: Annotated[str, Query(max_length=64)] = "",
    product: Annotated[str, Query(max_length=200)] = "",
    why_not: Annotated[str, Query(max_length=200)] = "",
) -> RecommendationPreview:
    """A list for staff: nothing is tried and nothing remembered; and why a product is not in it."""
    query = PreviewQuery(scenario, customer, product, why_not)
    return preview_recommendations(
        recommendations_of(request), query, now=datetime.now(UTC), only=rows_of(visible_of(request))
    )


@of_shoppers.post(PATH)
@needs(Action.ACT, Area.STOREFRONT)
def recommend_to_shopper(request: Request, body: ShopperBody) -> RecommendationList:
    """A list for who is there now: a user with a secret key, a visitor with a write key too."""
    is_public = not actor_of(request).may(Action.READ, Area.CUSTOMERS)
    if is_public and (body.user_id or body.customer_id):
        todo = LISTS_FROM_SERVER
        raise BadKey(403, WRITE_KEY_PUBLIC, todo=todo)
    query = RecommendationQuery(**body.model_dump(), is_public=is_public)
    lists = recommendations_of(request)
    return _with_texts(lists.recommend(query, now=datetime.now(UTC)), lists.shop.settings.shop)


@of_browsers.options(PATH)
@needs_nothing
def allow_pages() -> Response:
    """Let pages of other sites send their key and a body."""
    return Response(status_code=204)


@of_servers.post(f"{PATH}/batch")
@needs(Action.EXPORT, Area.CUSTOMERS)
def recommend_to_many(request: Request, body: BatchBody) -> RecommendationBatch:
    """Lists for many users; for messages only of those who may be written to."""
    settings = body.model_dump(exclude={"user_ids"})
    queries = [RecommendationQuery(**settings, user_id=fromkey) for fromkey in dict.fromkeys(body.user_ids)]
    live = recommendations_of(request)
    lists, refused_count = live.recommend_many(queries, now=datetime.now(UTC))
    shop = live.shop.settings.shop
    listed = [BatchList(user_id=user_id, recommendation=_with_texts(one, shop)) for user_id, one in lists]
    return RecommendationBatch(lists=listed, refused_count=refused_count)


def _with_texts(made: Recommendation, shop: ShopSettings) -> RecommendationList:
    content = asdict(made)
    for one, product in zip(content["products"], made.products, strict=True):
        one.update({name: round(one[name], DECIMALS) for name in ("click_probability", "buy_probability")})
        one["reason"].update({name: _one_decimal(one["reason"][name]) for name in ("days_since", "usual_days")})
        texts = ((words(locale), Formats(locale, shop.currency, shop.time_zone)) for locale in LOCALES)
        one["reason"]["texts"] = {
            text.html_language: recommendation_sentence(product.reason, text, formats, SHOPPER)
            for text, formats in texts
        }
    return RecommendationList.model_validate(content)


def _one_decimal(days: float | None) -> float | None:
    return None if days is None else round(days, 1)
