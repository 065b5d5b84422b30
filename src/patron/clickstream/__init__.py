"""What the events of a visit say while it goes on: the probability, after each event, that it ends with an order.

A visit is a list of `SessionEvent`; `features_after` turns its events so far into one row, `rows_of` rows into a table.
`training_rows` makes the table that learners fit from finished visits; fitted ones predict a table of any rows.
Fitting needs scikit-learn or LightGBM, predicting with a linear model neither.
"""

from patron.clickstream.features import (
    EVENT_KINDS,
    FEATURES,
    MAX_EVENTS,
    ORDER,
    PAUSE_SECONDS,
    SECONDS_UNTIL_KNOWN,
    SessionEvent,
    VisitorHistory,
    features_after,
    rows_of,
)
from patron.clickstream.learners import LEARNERS, BoostedOrder, LogisticOrder
from patron.clickstream.rates import BaseRate, RateByCartAndViews, RateByEventCount, RateByLastEvent
from patron.clickstream.training_rows import Session, training_rows

__all__ = [
    "EVENT_KINDS",
    "FEATURES",
    "LEARNERS",
    "MAX_EVENTS",
    "ORDER",
    "PAUSE_SECONDS",
    "SECONDS_UNTIL_KNOWN",
    "BaseRate",
    "BoostedOrder",
    "LogisticOrder",
    "RateByCartAndViews",
    "RateByEventCount",
    "RateByLastEvent",
    "Session",
    "SessionEvent",
    "VisitorHistory",
    "features_after",
    "rows_of",
    "training_rows",
]
