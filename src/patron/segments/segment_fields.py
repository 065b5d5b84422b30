"""What rules of segments may name: columns of features and of `segment_fields`, and the query that makes the latter."""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.types as pt

from patron.schema.models.questions import CHURN, PURCHASE, PURCHASE_7_DAYS, VALUE
from patron.schema.tables import FEATURES, SEGMENT_FIELDS
from patron.segments.segment_rules import Kind, SegmentField

KEYS = frozenset({"run_id", "customer_id", "as_of", "feature_version"})
"""Columns that say which row it is, not how the customer is."""
FORECASTS: Mapping[str, tuple[str, str]] = {
    VALUE.name: ("value", "value_decile"),
    CHURN.name: ("churn_probability", "churn_decile"),
    PURCHASE.name: ("purchase_probability", "purchase_decile"),
    PURCHASE_7_DAYS.name: ("purchase_probability_7_days", "purchase_decile_7_days"),
}
"""Columns of each question's forecast, and of its decile."""


def _kind(of: pa.DataType) -> Kind | None:
    if pt.is_boolean(of):
        return "flag"
    if pt.is_integer(of) or pt.is_floating(of):
        return "number"
    return "text" if pt.is_string(of) or pt.is_large_string(of) else None


FIELDS: Mapping[str, SegmentField] = {
    column.name: SegmentField(column.name, kind, meaning=column.meaning, unit=column.unit, choices=column.choices)
    for column in SEGMENT_FIELDS.columns
    if column.name not in KEYS and (kind := _kind(column.type))
}
"""Fields that every run has."""


def feature_fields(schema: pa.Schema) -> dict[str, SegmentField]:
    """The features that a run wrote, from the schema of its table; docs/reference/features.md says what they mean."""
    return {
        one.name: SegmentField(one.name, kind, "", _unit(one.name))
        for one in schema
        if one.name not in KEYS | FEATURES.names | FIELDS.keys() and (kind := _kind(one.type))
    }


def _unit(name: str) -> str:
    """Unit of a feature, which its name carries."""
    words = name.split("_")
    if "cents" in words:
        return "cents"
    if "share" in words:
        return "0 to 1"
    return "days" if words[0] == "days" else ""


def fields_query(answered: Iterable[str], *, run_id: str, profiling: str) -> str:
    """Portable SQL of `segment_fields`; `run_id` and `profiling`, the purpose people may object to, are SQL literals.

    Forecasts of questions that the run has no answer to are NULL. Deciles count everybody with a forecast, in order of
    value and id, as the export of scores does.
    """
    known = frozenset(answered)
    forecasts = "".join(_forecast_columns(question, is_known=question in known) for question in FORECASTS)
    allowed = ", ".join(f"case when o.customer_id is null then {column} end as {name}" for name, column in PROFILE)
    kept = ", ".join(
        f"case when o.customer_id is null then v.{name} end as {name}"
        for name in ("value_low", "value_high", *(name for names in FORECASTS.values() for name in names))
    )
    return f"""
with placed as (
  select question, customer_id, value, low, high,
    cast(floor(
      (row_number() over (partition by question order by value, customer_id) - 1) * 10.0
      / count(*) over (partition by question)) as bigint) + 1 as decile
  from scores where run_id = {run_id}
),
forecast as (
  select customer_id{forecasts}
  from placed group by customer_id
),
objecting as (
  select customer_id from (
    select customer_id, is_granted, row_number() over (
      partition by customer_id order by occurred_at desc, is_granted, event) as place
    from consents where is_of_user and purpose = {profiling}) c
  where place = 1 and not is_granted
)
select s.run_id, s.customer_id, s.as_of, {allowed}, {kept}
from segments s
left join personas n on n.run_id = s.run_id and n.persona_id = s.persona_id
left join forecast v on v.customer_id = s.customer_id
left join objecting o on o.customer_id = s.customer_id
where s.run_id = {run_id}"""


PROFILE = (
    ("recency_score", "s.recency_score"),
    ("frequency_score", "s.frequency_score"),
    ("monetary_score", "s.monetary_score"),
    ("persona_id", "s.persona_id"),
    ("persona", "n.name_code"),
    ("lifecycle_stage", "s.lifecycle_stage"),
    ("is_order_due", "s.is_order_due"),
)
"""Columns that are the same in `segments` or `personas`, and where they come from."""


def _forecast_columns(question: str, *, is_known: bool) -> str:
    """Columns of a question's forecast; of value the interval too."""
    sources = dict(zip(FORECASTS[question], ("value", "decile"), strict=True))
    if question == VALUE.name:
        sources |= {"value_low": "low", "value_high": "high"}
    condition = f"question = '{question}'" if is_known else "false"
    return "".join(f",\n    max(case when {condition} then {of} end) as {name}" for name, of in sources.items())
