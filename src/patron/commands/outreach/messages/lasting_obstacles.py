"""What keeps every message from a customer before a campaign ends: asked by the plan for all, by forms for some.

Consent, address, suppression, topic and limits are those of the checks before a message is sent. Most customers have no
obstacle, and opening the vault takes long: queries find who may have one, and only these are looked at one by one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from patron.commands.outreach.messages.message_batch import customer_facts, ids_until_now, times_written_to
from patron.engage.message_limits import capped_until
from patron.engage.recipients import CUSTOMER_EVENTS, Recipient, recipients
from patron.engage.send_eligibility import CustomerFacts, SendRules, lasting_obstacle
from patron.govern.outreach.suppression_list import ALL_TOPICS, channels_alike
from patron.govern.vault import Vault
from patron.schema.outreach.channels import CHANNELS
from patron.schema.outreach.channels.channel_description import EMAIL_ADDRESS, USER_ID
from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED
from patron.schema.table_definition import TEXT
from patron.storage.engine import sql_list, timestamp
from patron.storage.outreach.campaign_tables import MESSAGES, SUPPRESSIONS
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import CONSENT_LEDGER

NO_ADDRESS = "no_address"
CAPPED = "capped"


def lasting_obstacles(
    snapshot: Snapshot, customers: pa.Table, *, channel: str, topic: str, now: datetime, end: datetime
) -> dict[str, str]:
    """Code of what keeps a message from customers (`customer_id`) until `end`; who may get one is left out.

    Whose consent is not known is left to the policy. Raises MasterKeyError, ChannelUnavailable as `recipients`.
    """
    shop, (found, suspects) = snapshot.shop, _found_by_queries(snapshot, customers, channel, topic, now)
    rules = SendRules(shop.policy.consent, shop.policy.messages, end=end)
    for people in recipients(shop, suspects, address=CHANNELS[channel].address_kind):
        for facts, person in zip(facts_of(shop, people, channel, topic, now), people, strict=True):
            reason = lasting_obstacle(facts, rules, now)
            is_over = reason == CAPPED and _capped_until(facts, rules, now) < end
            is_unknown = reason == "no_consent" and facts.consent.is_granted is None
            if reason and not is_over and not is_unknown:
                found[person.customer_id] = reason
    return found


def facts_of(shop: Shop, people: Sequence[Recipient], channel: str, topic: str, now: datetime) -> list[CustomerFacts]:
    """What is known of each of some people, whatever the message."""
    ids = sorted(set[str]().union(*map(ids_until_now, people)))
    facts = customer_facts(shop, people, channel, topic, times_written_to(shop, ids, now))
    return [facts[person.customer_id] for person in people]


def _capped_until(facts: CustomerFacts, rules: SendRules, now: datetime) -> datetime:
    return capped_until(facts.sent_times, now, rules.messages.caps) or now


def _found_by_queries(
    snapshot: Snapshot, customers: pa.Table, channel: str, topic: str, now: datetime
) -> tuple[dict[str, str], list[str]]:
    """Who surely has no address, and who else may have an obstacle."""
    kind, ids = CHANNELS[channel].address_kind, customers["customer_id"]
    if kind not in {EMAIL_ADDRESS, USER_ID}:  # why: only the vault knows how other addresses are told apart
        return {}, ids.to_pylist()
    contacts = snapshot.query(_contacts_query(kind.event_column), wanted=customers.select(["customer_id"]))
    reached = contacts["customer_id"].unique()
    missing = ids.filter(pc.invert(pc.is_in(ids, value_set=reached)))
    suspects = _owners(contacts, _refusing(snapshot.shop, channel, topic)) | _often_written_to(snapshot.shop, now)
    return dict.fromkeys(missing.to_pylist(), NO_ADDRESS), sorted(suspects & set(reached.to_pylist()))


def _contacts_query(event_column: str) -> str:
    """SQL for the user tokens of the customers of `wanted` who have an address, each with the latest one's token."""
    tokens = (
        "select i.customer_id, i.token from identities i join wanted w on w.customer_id = i.customer_id where i.is_user"
    )
    if not event_column:
        return f"select customer_id, token, token as contact from ({tokens}) t order by customer_id, token"
    return f"""
with tokens as ({tokens}),
addressed as (
  select t.customer_id, e.{event_column} as contact,
    row_number() over (partition by t.customer_id order by e.occurred_at desc, e.source desc, e.event_id desc) as place
  from tokens t join events e on e.user_token = t.token
  where e.name in {sql_list(CUSTOMER_EVENTS)} and e.{event_column} is not null)
select t.customer_id, t.token, a.contact from tokens t join addressed a on a.customer_id = t.customer_id and a.place = 1
order by t.customer_id, t.token"""


def _owners(contacts: pa.Table, tokens: Iterable[str]) -> set[str]:
    """Customers with one of some tokens, as themselves or of their address."""
    listed = pa.array(sorted(tokens), TEXT)
    is_listed = (pc.is_in(contacts[name], value_set=listed) for name in ("token", "contact"))
    return set(contacts["customer_id"].filter(pc.or_(*is_listed)).to_pylist())


def _refusing(shop: Shop, channel: str, topic: str) -> set[str]:
    """Tokens of people who ever refused, or are forgotten, and of addresses that are suppressed."""
    consent = shop.policy.consent
    purposes = (consent.marketing, topic, *(f"{topic}/{one}" for one in channels_alike(channel)))
    names = {name for purpose in purposes for name in consent.names_of(purpose)}
    entry, blocked = CONSENT_LEDGER.c, SUPPRESSIONS.c
    refused = sa.select(entry.token).where(entry.purpose.in_(names), ~entry.is_granted)
    suppressed = sa.select(blocked.contact).where(
        blocked.channel.in_(channels_alike(channel)), blocked.topic.in_((topic.lower(), ALL_TOPICS))
    )
    with shop.store.begin() as connection:
        return {
            *connection.scalars(refused),
            *connection.scalars(suppressed),
            *Vault.open(shop).forgotten,
        }


def _often_written_to(shop: Shop, now: datetime) -> set[str]:
    """Customers whom a limit on messages may keep from one."""
    caps = shop.policy.messages.caps
    if not caps:
        return set()
    since, least = now - timedelta(days=max(cap.within_days for cap in caps)), min(cap.most for cap in caps)
    table, sent = MESSAGES.c, Counter[str]()
    counted = sa.select(table.customer_id, sa.func.count()).where(
        table.state.in_(MAY_HAVE_ARRIVED), table.sent_at > since
    )
    with shop.store.begin() as connection:
        sent.update({row[0]: row[1] for row in connection.execute(counted.group_by(table.customer_id))})
    of_runs = shop.newest_snapshot().query(
        "select customer_id, count(*) as n from exposures where is_delivered"
        f" and exposed_at > {timestamp(since)} group by customer_id order by customer_id"
    )
    sent.update(dict(zip(*(of_runs[name].to_pylist() for name in ("customer_id", "n")), strict=True)))
    return {customer_id for customer_id, count in sent.items() if count >= least}
