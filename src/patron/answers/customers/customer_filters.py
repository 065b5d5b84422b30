"""What an address says of the customer list: filters, sorting, columns and page, the same for its page and its twin."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from patron.answers.customers.customer_list import PAGE_SIZE, CustomerQuery, Direction, Period, Range, Sort
from patron.schema.list_pages import MAX_LIMIT, MAX_PAGE, CursorText
from patron.schema.spelling import one_line
from patron.segments.segment_rules import Answer

COLUMNS = (
    "stage",
    "persona",
    "value",
    "churn_probability",
    "purchase_probability",
    "value_at_risk",
    "paid",
    "orders",
    "first_order",
    "last_order",
    "channel",
    "country",
    "consent",
    "action",
    "tags",
    "owner",
)
"""Columns that a reader may choose."""
USUAL_COLUMNS = ("stage", "persona", "value", "churn_probability", "paid", "orders", "last_order", "action")
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2200, 1, 1)
MAX_PERSONA_ID = 9_999
MAX_MONEY, MAX_ORDERS = 10**10, 10**9

Text = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=200)]
Money = Annotated[float | None, Field(ge=-MAX_MONEY, le=MAX_MONEY, description="In units of the shop's currency.")]
Percent = Annotated[float | None, Field(ge=0, le=100, description="Percent, 0 to 100.")]
Orders = Annotated[int | None, Field(ge=0, le=MAX_ORDERS)]
Day = Annotated[
    Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]
    | Annotated[AwareDatetime, Field(ge=datetime(1900, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]
    | None,
    Field(description="Day in the shop's time zone, included; or a time: from it on, or until before it."),
]


class CustomerFilters(BaseModel):
    """Filters, sorting and page of the customer list, as its address has them; what is empty filters nothing."""

    search: Text = Field(default="", description="Beginning of an opaque customer id.")
    lifecycle_stage: Text = ""
    persona: Annotated[int | None, Field(ge=0, le=MAX_PERSONA_ID)] = None
    action: Text = Field(default="", description="Id of an offer that was decided on, or none.")
    channel: Name = Field(default="", description="Acquisition channel.")
    country: Name = Field(default="", description="As the trait `country` has it.")
    consent: Answer | Literal[""] = Field(default="", description="Last answer about marketing.")
    category: Name = Field(default="", description="A category that they bought.")
    product: Name = Field(default="", description="A product that they bought: its number or name.")
    tag: Text = ""
    owner: Text = Field(default="", description="User id of who looks after them, or nobody.")
    at_risk: bool = Field(default=False, description="Only who is on the watch list.")
    value_min: Money = None
    value_max: Money = None
    churn_min: Percent = None
    churn_max: Percent = None
    purchase_min: Percent = None
    purchase_max: Percent = None
    risk_min: Money = None
    risk_max: Money = None
    paid_min: Money = None
    paid_max: Money = None
    orders_min: Orders = None
    orders_max: Orders = None
    first_order_from: Day = None
    first_order_to: Day = None
    last_order_from: Day = None
    last_order_to: Day = None
    sort: Sort = "value"
    direction: Direction = "descending"
    columns: Annotated[str, Field(max_length=300)] = Field(
        default="", description=f"Columns of the page, joined by commas, of {', '.join(COLUMNS)}; others are left out."
    )
    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1

    def query(self, time_zone: str) -> CustomerQuery:
        """What the list is searched for; days are those of the shop's time zone."""
        return CustomerQuery(
            search=self.search,
            lifecycle_stage=self.lifecycle_stage,
            persona_id=self.persona,
            action=self.action,
            sort=self.sort,
            page=self.page,
            direction=self.direction,
            channel=self.channel,
            country=self.country,
            consent=self.consent,
            category=self.category,
            product=self.product,
            tag=one_line(self.tag),
            owner=self.owner,
            is_at_risk=self.at_risk,
            value_cents=Range(_cents(self.value_min), _cents(self.value_max)),
            churn_probability=Range(_share(self.churn_min), _share(self.churn_max)),
            purchase_probability=Range(_share(self.purchase_min), _share(self.purchase_max)),
            value_at_risk_cents=Range(_cents(self.risk_min), _cents(self.risk_max)),
            paid_cents=Range(_cents(self.paid_min), _cents(self.paid_max)),
            order_count=Range(self.orders_min, self.orders_max),
            first_order_at=_period(self.first_order_from, self.first_order_to, time_zone),
            last_order_at=_period(self.last_order_from, self.last_order_to, time_zone),
        )

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """Columns of the page in their order."""
        chosen = set(self.columns.split(",")) & set(COLUMNS)
        return tuple(column for column in COLUMNS if column in chosen) if chosen else USUAL_COLUMNS

    def values(self, **changes: Any) -> dict[str, str]:
        """Parameters of an address with these changes; what is empty or usual is not named."""
        changed = self.model_copy(update=changes).model_dump(mode="json", exclude_defaults=True)
        written = {name: _written(value) for name, value in changed.items() if value not in {None, ""}}
        return {name: text for name, text in written.items() if text}

    def address(self, path: str = "/customers", **changes: Any) -> str:
        """Address of one state of the list."""
        parameters = urlencode(self.values(**changes))
        return f"{path}?{parameters}" if parameters else path

    def filter_values(self) -> dict[str, str]:
        """Those parameters that filter, without sorting, columns and page."""
        shown = {"sort": "value", "direction": "descending", "columns": "", "page": 1}
        return self.values(**shown)


class CustomerListQuery(CustomerFilters):
    """Filters of the list, and where a page of it begins."""

    cursor: CursorText = ""
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Rows of a page.")] = PAGE_SIZE


PARAMETERS = tuple(CustomerFilters.model_fields)


def read_filters(parameters: Mapping[str, str], columns: Iterable[str] = ()) -> CustomerFilters:
    """Filters of a page's address; a value that is not valid filters nothing."""
    values = {name: text.strip() for name in PARAMETERS if (text := parameters.get(name, "")).strip()}
    if chosen := ",".join(columns):
        values["columns"] = chosen
    try:
        return CustomerFilters.model_validate(values)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]) for problem in error.errors()}
        return CustomerFilters.model_validate({name: text for name, text in values.items() if name not in wrong})


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else ""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() and abs(value) < MAX_ORDERS else str(value)


def _cents(amount: float | None) -> float | None:
    return None if amount is None else round(amount * 100, 6)


def _share(percent: float | None) -> float | None:
    return None if percent is None else round(percent / 100, 9)


def _period(first: date | None, last: date | None, time_zone: str) -> Period:
    return Period(_start_of(first, time_zone, 0), _start_of(last, time_zone, 1))


def _start_of(day: date | None, time_zone: str, days_later: int) -> datetime | None:
    """Midnight of a day, or of one later; a time as it is."""
    if day is None or isinstance(day, datetime):
        return day
    return datetime.combine(day + timedelta(days=days_later), time.min, ZoneInfo(time_zone))
