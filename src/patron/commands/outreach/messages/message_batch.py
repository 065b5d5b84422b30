"""Which due messages may be sent now, and what they say: checked, rendered, not yet written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from patron.commands.outreach.messages.mailing import Mailing
from patron.engage.channels.channel import OutgoingMessage
from patron.engage.message_queue import DueMessage, contacts_with_message, customers_with_message, sent_times
from patron.engage.recipients import Recipient, recipients
from patron.engage.send_eligibility import (
    Allowance,
    ConsentAnswer,
    CustomerFacts,
    MessageFacts,
    SendRules,
    Verdict,
    check,
)
from patron.engage.templates.message_links import message_links
from patron.engage.templates.message_template import MessageTemplates, RenderedMessage
from patron.engage.templates.product_variables import product_variables
from patron.govern.master_key import Keys, derive_keys
from patron.govern.outreach.suppression_list import channels_alike, suppressed
from patron.govern.outreach.unsubscribe_tokens import Subscription, token_of
from patron.govern.privacy.consent_ledger import Entry, history, latest_entry, ledger_head
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.errors import BadTemplate
from patron.schema.outreach.channels import CHANNELS
from patron.schema.outreach.message_states import MessageState
from patron.schema.table_definition import TEXT
from patron.storage.engine import timestamp
from patron.storage.offers.offer_policy import Offer
from patron.storage.outreach.versioned_drafts import holdouts_of
from patron.storage.shop import Shop

BATCH = 500
"""Most messages that are checked at once, and in clear in memory."""
REFUSED_BASIS = "unknown_refused"
ALLOWED_BASIS = "unknown_allowed"
WITHDRAWN_BASIS = "withdrawn"


@dataclass(frozen=True)
class CheckedMessage:
    """A message with the verdict of the checks; rendered where it may be sent."""

    due: DueMessage
    facts: MessageFacts
    verdict: Verdict
    row: Mapping[str, Any]
    """Row of MESSAGES, but for state and times."""
    outgoing: OutgoingMessage | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    """What is kept of it."""

    def waiting_or_skipped(self, at: datetime) -> dict[str, Any]:
        """The row of a message that is not sent now."""
        until = self.verdict.until
        state = MessageState.SKIPPED if until is None else MessageState.WAITING
        times = {"next_attempt_at": until and until.astimezone(UTC), "written_at": at.astimezone(UTC), "sent_at": None}
        return {**self.row, **times, "state": state, "reason": self.verdict.reason}

    def on_its_way(self, at: datetime) -> dict[str, Any]:
        """The row of a message that is handed over next."""
        times = {"next_attempt_at": None, "written_at": at.astimezone(UTC), "sent_at": at.astimezone(UTC)}
        attempt = {"attempt_count": self.row["attempt_count"] + 1}
        return {**self.row, **times, **attempt, "state": MessageState.SENDING, "reason": ""}


@dataclass
class MessageChecker:
    """Checks and renders the messages of one campaign, or of one step of a journey."""

    shop: Shop
    mailing: Mailing
    vault: Vault
    keys: Keys
    templates: MessageTemplates
    allowance: Allowance
    consents_until: tuple[int, str] = (0, "")
    """Last entry of the consent ledger that the last checks knew; later ones may withdraw what was checked."""
    products: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What templates may call product.name ..., by product."""

    @classmethod
    def of(cls, shop: Shop, mailing: Mailing, at: datetime) -> "MessageChecker":
        """A checker as of a time. Raises BadTemplate, MasterKeyError."""
        templates = MessageTemplates.of(mailing.template, shop.settings.shop.locale)
        keys = derive_keys(shop.master_key())
        return cls(shop, mailing, Vault(shop.store, keys), keys, templates, mailing.allowance(shop, at))

    def batches(self, due: Sequence[DueMessage]) -> Iterator[list[tuple[DueMessage, Recipient]]]:
        """Due messages with who gets them, in lists of at most BATCH."""
        self.vault = Vault(self.shop.store, self.keys)  # why: an open vault remembers a key for everybody it has met
        ids, kind = [one.customer_id for one in due], CHANNELS[self.mailing.channel].address_kind
        tokens = {one.customer_id: one.token for one in due if one.token}
        self.products = product_variables(self.shop, {one.product_id for one in due if one.product_id})
        lists = recipients(self.shop, ids, address=kind, tokens=tokens, vault=self.vault)
        people = (one for some in lists for one in some)
        pairs = zip(due, people, strict=True)
        while some := list(islice(pairs, BATCH)):
            yield some

    def check(self, pairs: Sequence[tuple[DueMessage, Recipient]], at: datetime) -> list[CheckedMessage]:
        """Check every message in order; what passes is rendered, and uses up the allowance."""
        rules = self.rules(at, {due.offer for due, _ in pairs})
        checked = []
        written_to = set[str]()
        facts = self._facts(pairs, at)
        for due, person in pairs:
            of_person = facts[due.customer_id]
            if of_person.contact in written_to:
                of_person = replace(of_person, has_message=True)
            checked.append(self._checked(due, person, of_person, replace(rules, end=self.mailing.end_of(due)), at))
            if checked[-1].outgoing is not None and of_person.contact:
                written_to.add(of_person.contact)
        return checked

    def rules(self, at: datetime, offers: Iterable[str]) -> SendRules:
        """The rules that hold at a time for messages with these offers; each message has an end of its own."""
        policy = self.shop.policy
        return SendRules(policy.consent, policy.messages, at, self._closed_offers(at, offers))

    def _closed_offers(self, at: datetime, offers: Iterable[str]) -> dict[str, str]:
        day = at.astimezone(ZoneInfo(self.shop.settings.shop.time_zone)).date()
        known, channel = {offer.id: offer for offer in self.shop.policy.offers}, self.mailing.channel
        return {
            offer: "offer_unavailable"
            for offer in offers
            if offer
            and not (
                offer in known
                and known[offer].is_available(day)
                and (not known[offer].channels or channel in known[offer].channels)
            )
        }

    def _facts(self, pairs: Sequence[tuple[DueMessage, Recipient]], at: datetime) -> dict[str, MessageFacts]:
        mailing = self.mailing
        people = [person for _, person in pairs]
        contacts = {person.contact for person in people if person.contact}
        ids_of = {person.customer_id: ids_until_now(person) for person in people}
        all_ids = sorted(set[str]().union(*ids_of.values()))
        with self.shop.store.begin() as connection:
            self.consents_until = ledger_head(connection)
            owners = contacts_with_message(connection, mailing.name, contacts)
            assigned = holdouts_of(connection, [mailing.name], all_ids)
            written_to = customers_with_message(connection, mailing.name, all_ids)
        # why: who was held out under any of the ids that became one stays without a message
        held_out = {one for (_, one), is_holdout in assigned.items() if is_holdout}
        times = times_written_to(self.shop, all_ids, at)
        facts = customer_facts(self.shop, people, mailing.channel, mailing.topic, times)
        return {
            person.customer_id: MessageFacts(
                **vars(facts[person.customer_id]),
                has_message=_has_message(owners.get(person.contact, {}), due)
                # why only of a campaign: each step of a journey writes to its customers, who enter once for all ids
                or (not due.entry_id and not written_to.isdisjoint(ids_of[due.customer_id] - {due.customer_id})),
                is_holdout=due.is_holdout or not held_out.isdisjoint(ids_of[due.customer_id]),
                is_planned=due.is_planned,
                offer=due.offer,
                cost_cents=due.cost_cents,
            )
            for due, person in pairs
        }

    def _checked(
        self, due: DueMessage, person: Recipient, facts: MessageFacts, rules: SendRules, at: datetime
    ) -> CheckedMessage:
        verdict, row = check(facts, rules, self.allowance, at), self._row(due, person, facts)
        if verdict.reason:
            return CheckedMessage(due, facts, verdict, row)
        template = self.templates.template_for(person.locale)
        token = self._unsubscribe_token(person, row["message_id"], template.language)
        try:
            rendered = template.render(self.variables(due, person, token, at))
        except BadTemplate:  # why no more words: they may hold what is known of the customer
            return CheckedMessage(due, facts, Verdict("missing_value"), row)
        self.allowance.use(facts)
        content = self.content(person.address, template.language, rendered)
        return CheckedMessage(
            due, facts, verdict=verdict, row=row, outgoing=_outgoing(row, person, rendered, token), content=content
        )

    def content(self, address: str, language: str, message: RenderedMessage) -> dict[str, str]:
        """What is kept of a message."""
        head = {"channel": self.mailing.channel, "language": language, "recipient": address}
        return head | {"subject": message.subject, "text": message.text, "html": message.html}

    def variables(self, due: DueMessage, person: Recipient, token: str, at: datetime) -> dict[str, Any]:
        """What the template may name."""
        offer = next((one for one in self.shop.policy.offers if one.id == due.offer), None)
        zone = ZoneInfo(self.shop.settings.shop.time_zone)
        of_offer = {"offer": offer_variables(offer, at.astimezone(zone))} if offer else {}
        product = self.products.get(due.product_id)
        of_product = {"product": product} if product else {}
        return {**person.variables, **of_offer, **of_product, **message_links(self.shop.settings, token)}

    def _unsubscribe_token(self, person: Recipient, message_id: str, language: str) -> str:
        mailing = self.mailing
        subscription = Subscription(
            person.token,
            person.contact,
            channel=mailing.channel,
            topic=mailing.topic,
            message_id=message_id,
            locale=language,
        )
        return token_of(self.keys, subscription)

    def _row(self, due: DueMessage, person: Recipient, facts: MessageFacts) -> dict[str, Any]:
        consent = facts.consent
        unknown = ALLOWED_BASIS if self.shop.policy.consent.unknown == "allow" else REFUSED_BASIS
        basis = unknown if consent.is_granted is None else consent.basis if consent.is_granted else WITHDRAWN_BASIS
        known = {"token": person.token or None, "contact": facts.contact}
        return self.mailing.unchecked_row(due) | known | {"consent_basis": basis, "consent_event": consent.event}


def times_written_to(shop: Shop, customer_ids: Sequence[str], at: datetime) -> dict[str, list[datetime]]:
    """When campaigns, journeys and runs whose offers were sent wrote to customers, as far back as limits look."""
    days = max((cap.within_days for cap in shop.policy.messages.caps), default=0)
    if not days:
        return {}
    since = at - timedelta(days=days)
    with shop.store.begin() as connection:
        times = sent_times(connection, customer_ids, since)
    rows = shop.newest_snapshot().query(
        "select e.customer_id, e.exposed_at from exposures e join wanted w on w.customer_id = e.customer_id"
        f" where e.is_delivered and e.exposed_at > {timestamp(since)}",
        wanted=pa.table({"customer_id": pa.array(customer_ids, TEXT)}),
    )
    for row in rows.to_pylist():
        times.setdefault(row["customer_id"], []).append(row["exposed_at"].astimezone(UTC))
    return times


def ids_until_now(person: Recipient) -> set[str]:
    """Ids that a customer has, or had before they became one with others."""
    return {person.customer_id, *map(initial_customer_id, person.tokens)}


def _has_message(customers: Mapping[str, datetime], due: DueMessage) -> bool:
    """Whether another customer of an address had the message; of a journey, since this one entered it."""
    return any(
        one != due.customer_id and (due.entered_at is None or at >= due.entered_at) for one, at in customers.items()
    )


def customer_facts(
    shop: Shop, people: Sequence[Recipient], channel: str, topic: str, sent_times: Mapping[str, Sequence[datetime]]
) -> dict[str, CustomerFacts]:
    """What is known of customers under any of their ids; `sent_times` says when messages went to each id."""
    listed = {contact for person in people for contact in person.contacts}
    blocked = suppressed(shop.store, listed, channel, topic)
    answers, facts = _answers(shop, people, channel, topic), {}
    for person in people:
        consent, is_topic_withdrawn = answers[person.customer_id]
        facts[person.customer_id] = CustomerFacts(
            consent=consent,
            contact=(person.contact or None) if person.token else None,
            is_suppressed=not blocked.isdisjoint(person.contacts),
            is_topic_withdrawn=is_topic_withdrawn,
            zone=ZoneInfo(person.time_zone or shop.settings.shop.time_zone),
            sent_times=tuple(at for known_id in sorted(ids_until_now(person)) for at in sent_times.get(known_id, ())),
        )
    return facts


def _answers(
    shop: Shop, people: Sequence[Recipient], channel: str, topic: str
) -> dict[str, tuple[ConsentAnswer, bool]]:
    """The latest answer of customers to marketing, and whether they withdrew from the topic, here or anywhere.

    A withdrawal counts under the names of the policy as it was approved, and under those of today.
    """
    consent = shop.policy.consent
    today = shop.consent_of_today or consent
    marketing, refusing = consent.names_of(consent.marketing), today.names_of(today.marketing)
    purposes = (topic, *(f"{topic}/{one}" for one in channels_alike(channel)))
    topics = [one.names_of(purpose) for one in (consent, today) for purpose in purposes]
    owner = {token: person.customer_id for person in people for token in person.tokens}
    entries: dict[str, list[Entry]] = {}
    for entry in history(shop.store, owner, {name for names in (marketing, refusing, *topics) for name in names}):
        entries.setdefault(owner[entry["token"]], []).append(entry)

    def latest(customer_id: str, names: Sequence[str]) -> Entry | None:
        return latest_entry(one for one in entries.get(customer_id, ()) if one["purpose"] in names)

    def is_no(entry: Entry | None) -> bool:
        return entry is not None and not entry["is_granted"]

    def answer_of(customer_id: str) -> Entry | None:
        refusal = latest(customer_id, refusing)
        return refusal if is_no(refusal) else latest(customer_id, marketing)

    return {
        person.customer_id: (
            _answer(answer_of(person.customer_id)),
            any(is_no(latest(person.customer_id, names)) for names in topics),
        )
        for person in people
    }


def _answer(entry: Entry | None) -> ConsentAnswer:
    return ConsentAnswer(bool(entry["is_granted"]), entry["basis"], entry["event"]) if entry else ConsentAnswer()


def _outgoing(row: Mapping[str, Any], person: Recipient, message: RenderedMessage, token: str) -> OutgoingMessage:
    name = person.variables.get("customer", {}).get("name", "")
    parts = (message.subject, message.text, message.html)
    return OutgoingMessage(row["message_id"], person.address, name, *parts, row["topic"], token)


def offer_variables(offer: Offer, at: datetime) -> dict[str, Any]:
    """What a template may call offer.name ..., for a message that goes out at a time of the shop's clock."""
    return {
        "id": offer.id,
        "code": offer.id,
        "name": offer.name or offer.id,
        "valid_days": offer.valid_days,
        "valid_until": (at.date() + timedelta(days=offer.valid_days)).isoformat(),
        "discount_percent": round(offer.discount_share * 100),
        "amount_off": offer.amount_off,
    }
