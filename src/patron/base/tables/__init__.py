"""Every table of the lake, declared once. Stages meet here and nowhere else.

Money is integer hundredths ("cents") of the currency named beside it, or of the shop's currency where none is named.
Times are UTC. Shares are 0 to 1.
"""

from patron.base.tables.columns import PRODUCT
from patron.base.tables.decisions import (
    DECISIONS,
    DRIFT,
    EFFECTS,
    EXPOSURES,
    FORECAST_CHECKS,
    PROPENSITIES,
    RECOMMENDATIONS,
)
from patron.base.tables.facts import (
    CLEANING,
    CONSENTS,
    CUSTOMERS,
    EVENTS,
    IDENTITIES,
    IDENTITY_CHANGES,
    INTERACTIONS,
    ORDER_LINES,
    ORDERS,
    PRODUCTS,
    REFERRALS,
    SESSIONS,
    TRAITS,
)
from patron.base.tables.forecasts import AFFINITIES, BACKTESTS, FEATURES, MOMENTS, PERSONAS, SCORES, SEGMENTS

__all__ = [
    "AFFINITIES",
    "BACKTESTS",
    "BY_NAME",
    "CLEANING",
    "CONSENTS",
    "CUSTOMERS",
    "DECISIONS",
    "DRIFT",
    "EFFECTS",
    "EVENTS",
    "EXPOSURES",
    "FEATURES",
    "FORECAST_CHECKS",
    "IDENTITIES",
    "IDENTITY_CHANGES",
    "INTERACTIONS",
    "MOMENTS",
    "ORDERS",
    "ORDER_LINES",
    "PERSONAS",
    "PRODUCT",
    "PRODUCTS",
    "PROPENSITIES",
    "RECOMMENDATIONS",
    "REFERRALS",
    "SCORES",
    "SEGMENTS",
    "SESSIONS",
    "TABLES",
    "TRAITS",
]

TABLES = (
    EVENTS,
    IDENTITIES,
    IDENTITY_CHANGES,
    TRAITS,
    CONSENTS,
    PRODUCTS,
    ORDER_LINES,
    ORDERS,
    INTERACTIONS,
    REFERRALS,
    SESSIONS,
    CUSTOMERS,
    CLEANING,
    MOMENTS,
    FEATURES,
    SEGMENTS,
    PERSONAS,
    SCORES,
    BACKTESTS,
    AFFINITIES,
    DECISIONS,
    PROPENSITIES,
    RECOMMENDATIONS,
    EXPOSURES,
    EFFECTS,
    FORECAST_CHECKS,
    DRIFT,
)
BY_NAME = {table.name: table for table in TABLES}
