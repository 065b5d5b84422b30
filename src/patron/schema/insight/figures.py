"""Every figure that more than one page shows, declared once: of whom, of which time, how refunds count, and from where.

A page marks a figure by its code (`data-figure`) and its exact number, so that a test can read the same figure wherever
it is shown and compare. docs/reference/figures.md lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

MONEY, COUNT, SHARE = "money", "count", "share"
WITH_THEIR_ORDER = "with their order, whenever they come; one whose order is not known on the day it came"
NONE = "none"
CHOSEN = "the period that the reader chose; the last 90 days in report and summary"
COMING = "the 90 days after the run's cutoff"
AT_RUN = "at the run's cutoff"
IDENTIFIED = "customers with an order, without guests whom nothing tells apart"


@dataclass(frozen=True)
class Figure:
    """One figure."""

    code: str
    unit: str
    """MONEY (cents), COUNT or SHARE."""
    meaning: str
    population: str
    period: str
    refunds: str
    source: str
    """Tables that it is summed from."""


FIGURES: tuple[Figure, ...] = (
    Figure(
        "revenue",
        MONEY,
        "net paid",
        "everybody, guests too",
        CHOSEN,
        WITH_THEIR_ORDER,
        "`order_lines`",
    ),
    Figure("buyers", COUNT, "customers with an order", IDENTIFIED, CHOSEN, NONE, "`orders`"),
    Figure(
        "order_value",
        MONEY,
        "revenue for each order",
        "everybody, guests too",
        CHOSEN,
        WITH_THEIR_ORDER,
        "`order_lines`, `orders`",
    ),
    Figure(
        "repeat_share",
        SHARE,
        "of the buyers, those who had ordered before the period",
        IDENTIFIED,
        CHOSEN,
        NONE,
        "`orders`, `customers`",
    ),
    Figure(
        "revenue_known",
        MONEY,
        "net paid",
        "customers whose first order came before the period",
        CHOSEN,
        WITH_THEIR_ORDER,
        "`order_lines`, `customers`",
    ),
    Figure(
        "revenue_new",
        MONEY,
        "net paid",
        "customers whose first order is in the period",
        CHOSEN,
        WITH_THEIR_ORDER,
        "`order_lines`, `customers`",
    ),
    Figure(
        "new_customers",
        COUNT,
        "customers whose first order is in the period",
        IDENTIFIED,
        CHOSEN,
        NONE,
        "`orders`, `customers`",
    ),
    Figure(
        "expected_value",
        MONEY,
        "expected net paid; compared with what those who were customers 90 days ago have brought since",
        "customers with an order",
        COMING,
        "as far as they were in what the forecast learned from",
        "`scores`",
    ),
    Figure(
        "prospects_value",
        MONEY,
        "expected net paid; compared with what prospects of 90 days ago have brought since",
        "people without an order who left a sign in the last 90 days",
        COMING,
        "as far as they were in what the forecast learned from",
        "`scores`",
    ),
    Figure("customers", COUNT, "customers with a stage", "customers with an order", AT_RUN, NONE, "`segments`"),
    Figure("at_risk", COUNT, "customers in the stage at risk", "customers with an order", AT_RUN, NONE, "`segments`"),
    Figure(
        "watch_list",
        COUNT,
        "customers on the watch list, snoozed or not",
        "the stage at risk, with spend in the last 180 days and a churn forecast",
        AT_RUN,
        NONE,
        "`value_at_risk`, `segments`",
    ),
    Figure(
        "value_at_risk",
        MONEY,
        "usual spend of 90 days (half of the last 180) times churn probability",
        "customers on the watch list",
        AT_RUN,
        WITH_THEIR_ORDER,
        "`value_at_risk`, `segments`",
    ),
    Figure("offers", COUNT, "customers with an offer", "customers considered", AT_RUN, NONE, "`decisions`"),
    Figure("offer_cost", MONEY, "expected cost of the offers", "customers with an offer", AT_RUN, NONE, "`decisions`"),
    Figure(
        "offer_net",
        MONEY,
        "expected net value of the offers",
        "customers with an offer",
        AT_RUN,
        NONE,
        "`decisions`",
    ),
    Figure(
        "randomised_actions",
        COUNT,
        "customers whose action was randomised, to learn what offers cause",
        "customers considered",
        AT_RUN,
        NONE,
        "`decisions`",
    ),
    Figure(
        "given_up",
        MONEY,
        "expected net value that randomising gives up, against the best action for everybody",
        "customers considered",
        AT_RUN,
        NONE,
        "`decisions`",
    ),
)
FIGURE_BY_CODE: Mapping[str, Figure] = {figure.code: figure for figure in FIGURES}
