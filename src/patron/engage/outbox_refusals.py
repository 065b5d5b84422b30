"""Whom the outbox of a run leaves out: by consent, by the topic of its offers, and by suppressed addresses.

The files are for a mail system, so that who must not be sent e-mail is in none of them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import sqlalchemy as sa

from patron.engage.recipients import CUSTOMER_EVENTS
from patron.govern.outreach.suppression_list import ALL_TOPICS, channels_alike
from patron.govern.privacy.consent_ledger import Entry, history, latest_answer
from patron.schema.table_definition import TEXT
from patron.storage.outreach.campaign_tables import SUPPRESSIONS
from patron.storage.runs.stage_view import StageView

_NAMES = ", ".join(f"'{name}'" for name in CUSTOMER_EVENTS)
LATEST_SUPPRESSED = f"""
with users as (
  select i.token, i.customer_id from identities i join recipients r on r.customer_id = i.customer_id where i.is_user),
had_one as (
  select distinct u.customer_id from events e join suppressed s on s.contact = e.email_token
  join users u on u.token = e.user_token),
addresses as (
  select u.customer_id, e.email_token,
    row_number() over (
      partition by u.customer_id order by e.occurred_at desc, e.source desc, e.event_id desc) as position
  from had_one h join users u on u.customer_id = h.customer_id join events e on e.user_token = u.token
  where e.email_token is not null
    and e.name in ({_NAMES}))
select a.customer_id from addresses a join suppressed s on s.contact = a.email_token where a.position = 1
"""
"""Customers whose latest address, as messages read it, is suppressed."""


@dataclass(frozen=True)
class OutboxRefusals:
    """Customers whom the files of a run leave out."""

    everything: frozenset[str]
    """May not be contacted."""
    personal_offers: frozenset[str]
    """Refuse offers chosen for them; the ordinary one may reach them."""


def outbox_refusals(view: StageView, customer_ids: Iterable[str]) -> OutboxRefusals:
    """Who of some customers is left out, by everything known when the run delivers, also since its cutoff."""
    customers, consent = sorted(set(customer_ids)), view.policy.consent
    answers = _Answers.read(view, customers, (consent.marketing, consent.personal_offers, *_topic_purposes(view)))
    blocked = _suppressed_customers(view, customers)
    refused = {
        customer
        for customer in customers
        if customer in blocked
        or not consent.allows(is_granted=answers.latest(customer, consent.marketing))
        or any(answers.latest(customer, purpose) is False for purpose in _topic_purposes(view))
    }
    personal = {customer for customer in customers if answers.latest(customer, consent.personal_offers) is False}
    return OutboxRefusals(frozenset(refused), frozenset(personal))


def _topic_purposes(view: StageView) -> tuple[str, ...]:
    """Purposes whose withdrawal ends the topic of the outbox: everywhere, or on one of its channels."""
    topic = view.policy.outbox_topic
    return (topic, *(f"{topic}/{channel}" for channel in channels_alike(view.policy.channel.name))) if topic else ()


@dataclass(frozen=True)
class _Answers:
    entries: Mapping[str, Collection[Entry]]
    names: Mapping[str, Collection[str]]
    """Of each purpose."""

    @classmethod
    def read(cls, view: StageView, customers: Collection[str], purposes: Iterable[str]) -> "_Answers":
        """The entries of customers as any of their users."""
        names = {purpose: frozenset(view.policy.consent.names_of(purpose)) for purpose in purposes}
        rows = view.query(
            "select i.token, i.customer_id from identities i join recipients r on r.customer_id = i.customer_id"
            " where i.is_user",
            recipients=_of_customers(customers),
        )
        customer_of = dict(zip(rows["token"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))
        entries: dict[str, list[Entry]] = {}
        for entry in history(view.declared_store, customer_of, frozenset().union(*names.values())):
            entries.setdefault(customer_of[entry["token"]], []).append(entry)
        return cls(entries, names)

    def latest(self, customer_id: str, purpose: str) -> bool | None:
        """The latest answer to a purpose; None without one."""
        return latest_answer(e for e in self.entries.get(customer_id, ()) if e["purpose"] in self.names[purpose])


def _suppressed_customers(view: StageView, customers: Collection[str]) -> set[str]:
    """Customers whose latest e-mail address is suppressed; only those who ever had such an address are looked up."""
    chosen, channels = sa.select(SUPPRESSIONS.c.contact).distinct(), channels_alike(view.policy.channel.name)
    topics = (ALL_TOPICS, view.policy.outbox_topic)
    chosen = chosen.where(SUPPRESSIONS.c.channel.in_(channels), SUPPRESSIONS.c.topic.in_(topics))
    with view.declared_store.begin() as connection:
        contacts = list(connection.scalars(chosen))
    if not contacts:
        return set()
    rows = view.query(
        LATEST_SUPPRESSED,
        recipients=_of_customers(customers),
        suppressed=pa.table({"contact": pa.array(contacts, TEXT)}),
    )
    return set(rows["customer_id"].to_pylist())


def _of_customers(customer_ids: Collection[str]) -> pa.Table:
    return pa.table({"customer_id": pa.array(customer_ids, TEXT)})
