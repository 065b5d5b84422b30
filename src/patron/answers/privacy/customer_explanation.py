"""What the last run estimated of one customer and decided for them, for the customers themselves to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from patron.answers.models.churn_reasons import ChurnReason, churn_reasons
from patron.schema.errors import BadRequest, NotFound
from patron.schema.models.questions import CHURN
from patron.schema.sentences import Sentence
from patron.schema.table_definition import TEXT
from patron.schema.tables import THRESHOLD
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

NO_ORDER_KNOWN = Sentence("no_order_known", "the last run has no order of this customer")
SEVERAL_HAVE_ADDRESS = Sentence("several_have_address", "several customers have this address")
CHECK_ID_OR_RUN = Sentence("check_id_or_run", "Check the id, or run again.")
IDENTIFY_BY_ID = Sentence("identify_by_id", "Identify one by user_id or customer_id.")

EVEN = 0.5
"""Who leaves more likely than not is likely to leave, whatever the policy has as at risk."""


@dataclass(frozen=True)
class CustomerExplanation:
    """One customer's own forecast and decision; nothing about anybody else, no score, no sensitive trait."""

    customer_id: str
    as_of: datetime
    is_likely_to_leave: bool | None
    """Whether the churn probability is that of customers at risk or at least one half; None without a forecast."""
    reasons: tuple[ChurnReason, ...]
    """What sets the customer apart, the strongest first; empty for who is not likely to leave."""
    action: str | None
    """Id of the offer or none; None for who was not considered for one."""
    reason: str | None
    """Reason code of the action."""
    is_sent: bool
    """Whether a channel that reaches customers had the offer."""
    sensitive_traits: tuple[str, ...]
    """Traits that no forecast of the run uses."""
    has_group_thresholds: bool
    """Whether groups of customers had thresholds of their own."""
    is_withdrawn: bool = False
    """Whether the run's offers were withdrawn before they were sent."""


def customer_explanation(view: Snapshot, tokens: Sequence[str], customer_id: str | None = None) -> CustomerExplanation:
    """What was estimated and decided for the customer with these tokens, or with an opaque id, older ones included.

    Raises NotFound, BadRequest where several customers share the address that the tokens are of.
    """
    customer = _customer(view, tokens, customer_id)
    run = f"run_id = '{view.run.run_id}'"
    row = _row(view, customer)
    churn = row["churn_probability"]
    is_likely = None if churn is None else churn >= min(view.policy.at_risk.at_risk_from, EVEN)
    reasons = churn_reasons(view, _table(customer_id=[customer])) or {}
    traits = view.query(f"select distinct trait from fairness where {run} order by trait")
    thresholds = view.query(f"select 1 as one from fairness where {run} and metric = '{THRESHOLD}' limit 1")
    return CustomerExplanation(
        customer,
        view.run.as_of,
        is_likely_to_leave=is_likely,
        reasons=reasons.get(customer, ()) if is_likely else (),
        action=row["action"],
        reason=row["reason"],
        is_sent=row["is_sent"],
        sensitive_traits=tuple(traits["trait"].to_pylist()),
        has_group_thresholds=thresholds.num_rows > 0,
        is_withdrawn=view.run.run_id in view.deliveries.withdrawn,
    )


def _customer(view: Snapshot, tokens: Sequence[str], customer_id: str | None) -> str:
    """The one customer of the run; a device that several people share names nobody."""
    names = [*tokens, None]
    sql = f"""
with named as (
  select distinct i.customer_id from identities i
  join chosen c on (c.token = i.token and i.shared_from is null)
    or c.customer_id = i.customer_id or c.customer_id = md5(i.token))
select g.customer_id from segments g join named n on n.customer_id = g.customer_id
where g.run_id = '{view.run.run_id}' order by g.customer_id"""
    chosen = _table(token=names, customer_id=[customer_id] * len(names))
    customers: list[str] = view.query(sql, chosen=chosen)["customer_id"].to_pylist()
    if not customers:
        raise NotFound(NO_ORDER_KNOWN, todo=CHECK_ID_OR_RUN)
    if customer_id is not None and customer_id in customers:
        return customer_id
    if len(customers) > 1:
        raise BadRequest(409, SEVERAL_HAVE_ADDRESS, todo=IDENTIFY_BY_ID)
    return customers[0]


def _row(view: Snapshot, customer: str) -> dict[str, Any]:
    """The customer's churn probability and decision, NULL without one."""
    sql = f"""
select d.action, d.reason, coalesce(e.is_delivered, false) as is_sent, s.value as churn_probability
from chosen c
left join this_decisions d on d.customer_id = c.customer_id
left join exposures e on e.decision_id = d.decision_id
left join this_scores s on s.customer_id = c.customer_id and s.question = '{CHURN.name}'"""
    [row] = records(view.query(sql, chosen=_table(customer_id=[customer])))
    return row


def _table(**columns: Sequence[str | None]) -> pa.Table:
    return pa.table({name: pa.array(list(values), TEXT) for name, values in columns.items()})
