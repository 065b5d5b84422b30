"""From the filters of the customer list to the rule of a segment, for the pages where both are at work."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from patron.answers.customers.customer_list import CustomerQuery, Period, Range

FIELDS = {
    "value_cents": "value",
    "churn_probability": "churn_probability",
    "purchase_probability": "purchase_probability",
    "order_count": "order_count_lifetime",
    "paid_cents": "paid_cents_lifetime",
}
DAYS = {"first_order_at": "days_since_first_order", "last_order_at": "days_since_last_order"}
NOT_IN_RULES = ("search", "action", "channel", "owner", "is_at_risk", "value_at_risk_cents")
"""Filters that no rule can have."""


def segment_link(query: CustomerQuery, as_of: datetime, time_zone: str) -> str:
    """Address of the builder with the rule of a query; empty where the list is not filtered, or by what no rule has."""
    rule = segment_rule(query, as_of, time_zone)
    return f"/segments/new?{urlencode({'rule': json.dumps(rule, ensure_ascii=False)})}" if rule else ""


def segment_rule(query: CustomerQuery, as_of: datetime, time_zone: str) -> dict[str, Any] | None:
    """The rule that selects who a query finds, as a segment's file writes it; None without one."""
    if any(getattr(query, name) not in {"", False, Range()} for name in NOT_IN_RULES):
        return None
    parts = [*_plain_parts(query)]
    for name, field in FIELDS.items():
        parts += _range_rules(field, *getattr(query, name))
    for name, field in DAYS.items():
        parts += _days(field, getattr(query, name), as_of, time_zone)
    return {"all": parts} if parts else None


def _plain_parts(query: CustomerQuery) -> Iterator[dict[str, Any]]:
    if query.lifecycle_stage:
        yield {"field": "lifecycle_stage", "op": "==", "value": query.lifecycle_stage}
    if query.persona_id is not None:
        yield {"field": "persona_id", "op": "==", "value": query.persona_id}
    if query.country:
        yield {"trait": "country", "op": "==", "value": query.country}
    if query.consent:
        yield {"consent": "marketing", "is": query.consent}
    if query.tag:
        yield {"tag": query.tag}
    for kind in ("category", "product"):
        if name := getattr(query, kind):
            yield {"bought": {kind: name}}


def _range_rules(field: str, low: float | None, high: float | None) -> Iterator[dict[str, Any]]:
    for op, value in ((">=", low), ("<=", high)):
        if value is not None:
            yield {"field": field, "op": op, "value": int(value) if float(value).is_integer() else value}


def _days(field: str, period: Period, as_of: datetime, time_zone: str) -> Iterator[dict[str, Any]]:
    """Calendar days before the run: what is later is fewer days ago."""
    today = as_of.astimezone(ZoneInfo(time_zone)).date()
    start, end = period
    if start is not None:
        yield {"field": field, "op": "<=", "value": (today - start.date()).days}
    if end is not None:
        yield {"field": field, "op": ">=", "value": (today - (end - timedelta(days=1)).date()).days}
