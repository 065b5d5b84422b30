"""Latent classes of how customers answer offers, from their orders, the messages they open and the codes they use."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.measure.decision_outcomes import NONE
from patron.measure.effect_measurement import measured_outcomes
from patron.schema.models.questions import PURCHASE
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import OFFER_RESPONDERS, OFFER_RESPONSE_CLASSES
from patron.storage.engine import literal, timestamp
from patron.storage.runs.stage_view import StageView
from patron.uplift import FittedResponseClasses, ResponseClasses, ResponseHistory

MIN_OFFERED = 200
"""Decisions with an offer below which no classes are estimated."""
CAP_REACHED = "cap_reached"
"""Reason of a decision for none that followed an earlier offer, which may still be valid."""
MIN_ORDERS_WITHOUT = 20
"""Orders after decisions without an offer below which the forecast of orders is taken as it is."""
MIN_EXPECTED = 1e-3
"""Orders in a window that a forecast is taken to stand for, at least."""
MIN_WINDOW_SHARE = 0.25
"""A shorter part of the window counts as this one: customers answer an offer at its beginning."""
PRIOR_CODE_ORDERS = 10.0
"""Strength of the prior that a class uses the code of an offer as those of all offers, as a number of orders."""
MAX_PURCHASE = 0.99
PENALTY = 1e-3


def measure_offer_responses(view: StageView) -> pa.Table:
    """Write `offer_response_classes` and `offer_responders`, and return the classes; nothing until offers were sent."""
    measured, customers = measured_outcomes(view), view.query(_customers_query(view))
    classes, responders = OFFER_RESPONSE_CLASSES.empty(), OFFER_RESPONDERS.empty()
    if measured is not None and not measured.is_placebo:
        orders = _comparable_decisions(measured.orders, customers)
        if len(orders.filter(pc.not_equal(orders["action"], NONE))) >= MIN_OFFERED:
            classes, responders = _tables(view.run.run_id, orders, customers, view.policy.measure.window_days)
    view.write(OFFER_RESPONSE_CLASSES.name, classes)
    view.write(OFFER_RESPONDERS.name, responders)
    return classes


def _comparable_decisions(orders: pa.Table, customers: pa.Table) -> pa.Table:
    """Decisions about these customers that had a forecast, without those for none because of an earlier offer."""
    is_known = pc.is_in(orders["customer_id"], customers["customer_id"].combine_chunks())
    is_capped = pc.equal(orders["reason"], CAP_REACHED)
    return orders.filter(pc.and_(pc.and_(is_known, orders["has_forecast"]), pc.invert(is_capped)))


def _customers_query(view: StageView) -> str:
    """SQL for customers with a forecast who take personal offers: customer_id, purchase, sent_count, opened_count."""
    policy = view.policy.consent
    return f"""
select s.customer_id, s.value as purchase, f.message_sent_count_lifetime as sent_count,
  f.message_opened_count_lifetime as opened_count
from this_scores s
left join this_features f on f.customer_id = s.customer_id and f.as_of = {timestamp(view.run.as_of)}
left join consents p on p.customer_id = s.customer_id and p.is_latest and not p.is_granted
  and p.purpose = {literal(policy.purpose(policy.personal_offers))}
where s.question = '{PURCHASE.name}' and p.customer_id is null order by s.customer_id
"""


def _tables(run_id: str, orders: pa.Table, customers: pa.Table, window_days: int) -> tuple[pa.Table, pa.Table]:
    """Rows of both tables; where the next offers came sooner, extra orders of the whole window follow from its part."""
    customer = pc.index_in(orders["customer_id"], customers["customer_id"].combine_chunks()).to_numpy().astype(np.int64)
    days = float_column(orders, "window_days")
    forecast = OrderForecast.fit(orders, days)
    offers = sorted(set(orders["action"].to_pylist()) - {NONE})
    offer = pc.fill_null(pc.index_in(orders["action"], pa.array(offers, pa.string())), -1).to_numpy().astype(np.int64)
    ordered, used = float_column(orders, "order_count"), float_column(orders, "used_orders")
    has_code = np.bincount(offer[offer >= 0], used[offer >= 0], minlength=len(offers)) > 0
    with_code = (offer >= 0) & has_code[offer]

    def by_customer(values: Numbers) -> Numbers:
        return np.bincount(customer[with_code], values[with_code], minlength=customers.num_rows).astype(np.float64)

    opened = float_column(customers, "opened_count")
    fitted = ResponseClasses(classes=2).fit(
        ResponseHistory(
            customer,
            offer,
            order_count=ordered,
            expected_orders=forecast.expected_orders(float_column(orders, "purchase"), days),
            # why: a mail system may send back that an offer was opened, and not that it was sent
            sent_count=np.maximum(float_column(customers, "sent_count"), opened),
            opened_count=opened,
            offered_order_count=by_customer(ordered),
            redeemed_count=by_customer(used),
            window_share=np.clip(days / window_days, MIN_WINDOW_SHARE, 1.0),
        )
    )
    whole = np.full(customers.num_rows, float(window_days))
    expected = forecast.expected_orders(float_column(customers, "purchase"), whole)
    responders = {
        "run_id": [run_id] * customers.num_rows,
        "customer_id": customers["customer_id"],
        "answering_probability": fitted.membership[:, 0],
        "expected_orders": expected,
    }
    weight = fitted.membership[customer].T
    code_orders = [
        [np.bincount(offer[with_code], (row * count)[with_code], minlength=len(offers)) for row in weight]
        for count in (used, ordered)
    ]
    rows = _class_rows(fitted, offers, has_code, np.array(code_orders, np.float64))
    return (
        pa.Table.from_pylist([row | {"run_id": run_id} for row in rows], schema=OFFER_RESPONSE_CLASSES.schema()),
        pa.table(responders, schema=OFFER_RESPONDERS.schema()),
    )


def _class_rows(
    fitted: FittedResponseClasses, offers: list[str], has_code: np.ndarray, code_orders: Numbers
) -> list[dict[str, object]]:
    """Rows of the classes; `code_orders` are orders with the offer's code, and all, of each class and offer."""
    found = fitted.parameters
    used, ordered = code_orders
    # why: of an offer with few orders, as the class uses the codes of all offers
    redeemed = (used + PRIOR_CODE_ORDERS * found.redeemed_share[:, None]) / (ordered + PRIOR_CODE_ORDERS)
    return [
        {
            "offer": offer,
            "class_number": number + 1,
            "class_share": float(found.class_share[number]),
            "decision_count": round(float(fitted.decision_count[number, at])),
            "usual_factor": float(found.usual_factor[number]),
            "order_factor": float(found.order_factor[number, at]),
            "extra_orders": float(found.extra_orders[number, at]),
            "standard_error": float(fitted.standard_error[number, at]),
            "redeemed_share": float(redeemed[number, at]) if has_code[at] else None,
            "opened_share": float(found.opened_share[number]),
        }
        for at, offer in enumerate(offers)
        for number in range(len(found.class_share))
    ]


@dataclass(frozen=True)
class OrderForecast:
    """Orders in a window without an offer: a power of those that the forecast of a purchase stands for, times a factor.

    Forecasts are too far apart or too close where an offer is considered; decisions without one show by how much.
    """

    log_factor: float = 0.0
    power: float = 1.0

    @classmethod
    def fit(cls, orders: pa.Table, days: Numbers) -> "OrderForecast":
        """Poisson regression on decisions without an offer; the forecast as it is where few orders followed them."""
        from sklearn.linear_model import PoissonRegressor  # noqa: PLC0415 - heavy: most commands need no regression

        is_without = pc.equal(orders["action"], NONE).to_numpy()
        ordered = float_column(orders, "order_count")[is_without]
        if ordered.sum() < MIN_ORDERS_WITHOUT:
            return cls()
        raw = cls().expected_orders(float_column(orders, "purchase")[is_without], days[is_without])
        model = PoissonRegressor(alpha=PENALTY, max_iter=1_000).fit(np.log(raw)[:, None], ordered)
        return cls(float(model.intercept_), max(float(model.coef_[0]), 0.0))

    def expected_orders(self, purchase: Numbers, days: Numbers) -> Numbers:
        """Orders in windows of some days, from the probability of an order in the horizon of the forecast."""
        rate = -np.log1p(-np.minimum(purchase, MAX_PURCHASE)) / PURCHASE.horizon_days
        raw = np.maximum(rate * days, MIN_EXPECTED)
        return np.exp(self.log_factor) * raw**self.power
