"""Who may be in an audience now: members of its segment who agreed to it, by their hashed identifiers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from patron.engage.audience_identifiers import hashed_identifiers
from patron.engage.recipients import Recipient, recipients
from patron.govern.outreach.suppression_list import suppressed_everywhere
from patron.govern.privacy.consent_ledger import latest_answers
from patron.govern.vault import Vault
from patron.schema.outreach.channels.channel_description import EMAIL_ADDRESS, PHONE_NUMBER
from patron.storage.outreach.audience_file import Audience
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_query import member_ids, without_members
from patron.storage.shop import Shop, Snapshot

NO_CONSENT = "no_consent"
SUPPRESSED = "suppressed"
NO_IDENTIFIER = "no_identifier"
REASONS = {
    NO_CONSENT: "have not agreed to advertising, or withdrew marketing",
    SUPPRESSED: "complained, bounced, or left all topics",
    NO_IDENTIFIER: "have no address or number that can be hashed",
}
"""Why members of the segment are not in the audience."""


@dataclass(frozen=True)
class AudienceCandidates:
    """Who belongs into an audience, and how many members of its segment do not."""

    identifiers: Mapping[str, Mapping[str, str]]
    """Hashes by kind of each customer."""
    left_out: Mapping[str, int]
    """By reason."""


def audience_candidates(shop: Shop, audience: Audience) -> AudienceCandidates:
    """Look up who belongs into an audience by now. Raises NoRunYet, NotFound, BadSegment, MasterKeyError."""
    view = last_run(shop)
    members = without_members(view, member_ids(view, audience.segment), audience.exclude)
    customers = members["customer_id"].to_pylist()
    agreed = _consenting_customers(shop, view, members)
    chosen = [customer for customer in customers if customer in agreed]
    left_out = Counter({NO_CONSENT: len(customers) - len(chosen)})
    identifiers: dict[str, Mapping[str, str]] = {}
    for people in _with_addresses(shop, audience, chosen):
        blocked = suppressed_everywhere(shop.store, {one.contact for of in people for one in of if one.contact})
        for of in people:
            hashes = hashed_identifiers(
                audience, dict(zip(("email", "phone"), (one.address for one in of), strict=False))
            )
            if any(one.contact in blocked for one in of):
                left_out[SUPPRESSED] += 1
            elif hashes:
                identifiers[of[0].customer_id] = hashes
            else:
                left_out[NO_IDENTIFIER] += 1
    return AudienceCandidates(identifiers, {reason: n for reason, n in left_out.items() if n})


def forgotten_customers(shop: Shop, customer_ids: Iterable[str]) -> set[str]:
    """Which of some customers were forgotten since they were looked up; to be called once their identifiers are kept.

    An erasure deletes what it finds of them in the store after what it finds in the lake: whatever is kept later is
    found here.
    """
    listed = pa.table({"customer_id": pa.array(sorted(customer_ids), pa.string())})
    sql = "select distinct i.customer_id from identities i join listed l on l.customer_id = i.customer_id"
    there = last_run(shop).query(sql, listed=listed)["customer_id"].to_pylist()
    return set(listed["customer_id"].to_pylist()) - set(there)


def _with_addresses(
    shop: Shop, audience: Audience, customer_ids: Sequence[str]
) -> Iterator[list[tuple[Recipient, ...]]]:
    """Customers with their mailbox, which may be suppressed, and with their telephone if the audience uses it."""
    kinds = (EMAIL_ADDRESS, *((PHONE_NUMBER,) if "phone" in audience.identifiers else ()))
    vault = Vault.open(shop)
    for lists in zip(*(recipients(shop, customer_ids, address=kind, vault=vault) for kind in kinds), strict=True):
        yield list(zip(*lists, strict=True))


def _consenting_customers(shop: Shop, view: Snapshot, members: pa.Table) -> set[str]:
    """Members who agreed to advertising, or said nothing where the policy allows that, and did not leave marketing."""
    sql = "select i.token, i.customer_id from identities i join members m on m.customer_id = i.customer_id"
    rows = view.query(f"{sql} where i.is_user", members=members)
    owner = dict(zip(rows["token"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))
    consent = shop.policy.consent
    answers, marketing = (
        latest_answers(shop.store, consent.names_of(purpose), owner)
        for purpose in (consent.advertising, consent.marketing)
    )
    return {
        customer_id
        for customer_id in members["customer_id"].to_pylist()
        if consent.allows(is_granted=answers.get(customer_id)) and marketing.get(customer_id) is not False
    }
