"""What customers choose to be sent, by the links in their messages: consents in the ledger, and the suppression list.

A link's token says whose choice it is. A topic ends in two places: the consent to the topic on this channel is
withdrawn through collect, as with any other consent, and the address is suppressed, which outlives the erasure of the
customer. The suppression is written first, so that nothing is sent any more, whatever becomes of the rest.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from patron.commands.customers.person_events import write_person_events
from patron.govern.master_key import derive_keys
from patron.govern.outreach.suppression_list import ALL_TOPICS, UNSUBSCRIBED, channels_alike, lift, reasons_of, suppress
from patron.govern.outreach.unsubscribe_tokens import Subscription, subscription_of
from patron.govern.privacy.consent_ledger import GRANTED, WITHDRAWN, history, latest_answer
from patron.govern.vault import Vault
from patron.schema.errors import NotFound
from patron.schema.outreach.channels import CHANNELS
from patron.storage.outreach.campaign_tables import RECEIPTS
from patron.storage.shop import Shop
from patron.storage.store.store import upsert

SOURCE = "patron-subscriptions"
"""Source of the consent events; not that of the run, whose many ids would have to be read for each of them."""
RECEIPT = "unsubscribed"


@dataclass(frozen=True)
class TopicChoice:
    """Whether a customer gets a topic on a channel."""

    topic: str
    channel: str
    is_on: bool


@dataclass(frozen=True)
class Preferences:
    """What a customer chose."""

    subscription: Subscription
    choices: tuple[TopicChoice, ...]
    is_known: bool
    """False once the customer was erased: nothing is sent, and nothing can be chosen but to stay away."""
    is_undeliverable: bool
    """Whether the address bounced or somebody complained: nothing is sent there, whatever is chosen."""


def find_subscription(shop: Shop, token: str) -> Subscription:
    """The subscription of a link. Raises NotFound for a token that we did not make."""
    subscription = subscription_of(derive_keys(shop.master_key()), token)
    if subscription is None:
        raise NotFound("the link is not valid", todo="Open the link of the newest message.")
    return subscription


def unsubscribe(shop: Shop, subscription: Subscription, *, now: datetime) -> None:
    """End a topic on the channel of the message, at once; a second time changes nothing. Raises WorkspaceBusy."""
    user_id = _user_id(shop, subscription)
    with shop.store.begin() as connection:
        suppress(connection, subscription.contact, subscription.channel, subscription.topic, UNSUBSCRIBED, now)
        if user_id is not None:
            _write_receipt(connection, subscription, now)
    purpose = topic_purpose(subscription.topic, subscription.channel)
    _write_consents(shop, subscription, user_id, {purpose: False}, now)


def preferences(shop: Shop, subscription: Subscription) -> Preferences:
    """What the customer of a link is sent by now."""
    topics = list(dict.fromkeys([*shop.policy.topics, subscription.topic]))
    marketing, channels = shop.policy.consent.marketing, _channels(shop, subscription)
    answers = _answers(shop, subscription, [marketing, *_purposes(topics, channels)])
    reasons = reasons_of(shop.store, subscription.contact, subscription.channel)
    choices = tuple(
        TopicChoice(
            topic,
            channel,
            is_on=answers.get(marketing) is not False
            and _is_on(topic, channel, answers, reasons if channel == subscription.channel else {}),
        )
        for topic in topics
        for channel in channels
    )
    is_undeliverable = any(reason != UNSUBSCRIBED for reason in reasons.values())
    return Preferences(subscription, choices, _user_id(shop, subscription) is not None, is_undeliverable)


def choose(shop: Shop, subscription: Subscription, topics_on: Collection[tuple[str, str]], *, now: datetime) -> None:
    """Send the topics on the channels named, and no others; without any, no marketing at all. Raises WorkspaceBusy.

    Who comes back is sent to again after an unsubscription, never after a bounce or complaint.
    """
    before = preferences(shop, subscription)
    is_on = {(one.topic, one.channel): (one.topic, one.channel) in topics_on for one in before.choices}
    marketing, user_id = shop.policy.consent.marketing, _user_id(shop, subscription)
    purposes = _purposes([topic for topic, _ in is_on], [channel for _, channel in is_on])
    answers = _answers(shop, subscription, [marketing, *purposes])
    consents: dict[str, bool] = {}
    for (topic, channel), on in is_on.items():
        consents[topic_purpose(topic, channel)] = on
        withdrawn = [one for one in (topic, *_purposes_of(topic, channel)) if answers.get(one) is False]
        consents |= dict.fromkeys(withdrawn, True) if on else {}
    if any(is_on.values()):
        if answers.get(marketing) is False:
            consents[marketing] = True
    else:
        consents = {marketing: False}
    with shop.store.begin() as connection:
        _change_suppressions(connection, subscription, is_on, can_return=user_id is not None, now=now)
        if user_id is not None and not any(is_on.values()):
            _write_receipt(connection, subscription, now)
    _write_consents(shop, subscription, user_id, consents, now)


def topic_purpose(topic: str, channel: str) -> str:
    """Purpose of consent to one topic on one channel."""
    return f"{topic}/{channel}"


def _change_suppressions(
    connection: sa.Connection,
    subscription: Subscription,
    is_on: Mapping[tuple[str, str], bool],
    *,
    can_return: bool,
    now: datetime,
) -> None:
    contact, channel = subscription.contact, subscription.channel
    if not any(is_on.values()):
        suppress(connection, contact, channel, ALL_TOPICS, UNSUBSCRIBED, now)
        return
    if not can_return:
        return
    lift(connection, contact, channel, ALL_TOPICS)
    for (topic, of_channel), on in is_on.items():
        if of_channel != channel:
            continue
        if on:
            lift(connection, contact, channel, topic)
        else:
            suppress(connection, contact, channel, topic, UNSUBSCRIBED, now)


def _is_on(topic: str, channel: str, answers: Mapping[str, bool | None], reasons: Mapping[str, str]) -> bool:
    is_withdrawn = any(answers.get(one) is False for one in (topic, *_purposes_of(topic, channel)))
    return not is_withdrawn and topic not in reasons and ALL_TOPICS not in reasons


def _channels(shop: Shop, subscription: Subscription) -> list[str]:
    """The channel of the link, and the others that are configured and let customers choose."""
    alike = channels_alike(subscription.channel)
    configured = shop.settings.channels.configured
    others = [name for name in configured if name not in alike and CHANNELS[name].has_topic_choices]
    return [subscription.channel, *others]


def _purposes(topics: Iterable[str], channels: Collection[str]) -> list[str]:
    names = [
        name for topic in topics for name in (topic, *(two for one in channels for two in _purposes_of(topic, one)))
    ]
    return list(dict.fromkeys(names))


def _purposes_of(topic: str, channel: str) -> list[str]:
    """Purposes whose withdrawal ends a topic on a channel."""
    return [topic_purpose(topic, one) for one in channels_alike(channel)]


def _answers(shop: Shop, subscription: Subscription, purposes: Iterable[str]) -> dict[str, bool | None]:
    """The latest answer of the customer, as any of their users, to each purpose; None without one."""
    names_of = {purpose: shop.policy.consent.names_of(purpose) for purpose in purposes}
    entries = history(shop.store, _users(shop, subscription), {name for names in names_of.values() for name in names})
    return {
        purpose: latest_answer(one for one in entries if one["purpose"] in names) for purpose, names in names_of.items()
    }


def _users(shop: Shop, subscription: Subscription) -> list[str]:
    """The tokens of all users that the customer is: a later yes as another one of them would outlast a no."""
    rows = (shop.snapshot() or shop.newest_snapshot()).query(
        "select token from identities where is_user and customer_id in"
        " (select customer_id from identities where token = $token)",
        {"token": subscription.token},
    )
    return sorted({subscription.token, *rows["token"].to_pylist()} - {""})


def _user_id(shop: Shop, subscription: Subscription) -> str | None:
    """The shop's own id of the customer; None once it was erased."""
    vault = Vault.open(shop)
    if subscription.token in vault.forgotten:
        return None
    return vault.reveal([subscription.token])[0] if subscription.token else None


def _write_receipt(connection: sa.Connection, subscription: Subscription, now: datetime) -> None:
    if not subscription.message_id:
        return
    place = (RECEIPTS.c.message_id == subscription.message_id, RECEIPTS.c.kind == RECEIPT)
    if connection.scalar(sa.select(RECEIPTS.c.message_id).where(*place)) is None:
        row = {"message_id": subscription.message_id, "kind": RECEIPT, "occurred_at": now, "is_permanent": False}
        upsert(connection, RECEIPTS, [row | {"detail": "one click"}])


def _write_consents(
    shop: Shop, subscription: Subscription, user_id: str | None, consents: Mapping[str, bool], now: datetime
) -> None:
    """Write what is new as events of collect, which is the one who writes the ledger."""
    if user_id is None:
        return
    known = _answers(shop, subscription, consents)
    rows = [
        _event(subscription, user_id, purpose, is_granted=is_granted, now=now)
        for purpose, is_granted in consents.items()
        if known[purpose] is not is_granted
    ]
    write_person_events(shop, rows, source=SOURCE, now=now)


def _event(
    subscription: Subscription, user_id: str, purpose: str, *, is_granted: bool, now: datetime
) -> dict[str, Any]:
    place = f"{subscription.token} {subscription.message_id} {purpose} {is_granted} {now.isoformat()}"
    properties = {"purpose": purpose, "locale": subscription.locale or None}
    return {
        "event_id": f"choice-{hashlib.sha256(place.encode()).hexdigest()[:32]}",
        "name": GRANTED if is_granted else WITHDRAWN,
        "occurred_at": now,
        "user_id": user_id,
        "channel": subscription.channel,
        "properties": msgspec.json.encode({k: v for k, v in properties.items() if v is not None}).decode(),
    }
