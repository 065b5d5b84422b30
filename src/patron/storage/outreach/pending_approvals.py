"""Approved campaigns and journeys that do not follow what changed since, until that is approved, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from patron.storage.offers.policy import Policy
from patron.storage.outreach.approved_terms import (
    TERMS_UNKNOWN,
    Terms,
    TermsChange,
    changed_terms,
    digest_of,
    obstacles,
    terms_of,
    terms_today,
)
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.outreach.versioned_drafts import DRAFT, IS_OVER, PLANNED, SavedVersion

if TYPE_CHECKING:
    from patron.storage.shop import Shop

POLICY_SECTIONS = ("offers", "consent", "messages", "budget", "at_risk")
"""Sections of the terms that are of policy.toml."""
SETTINGS_SECTIONS = ("shop", "channels")
"""Sections of the terms that are of patron.toml."""


@dataclass(frozen=True)
class PendingApproval:
    """A campaign or journey that a change does not reach before somebody approves it."""

    kind: str
    """campaign, or journey."""
    name: str
    state: str
    digest: str
    """Of what an approval would pin now."""
    changes: tuple[TermsChange, ...]
    """What changed and can be approved."""
    unplanned: tuple[TermsChange, ...]
    """Rules of segments that only a new plan of a campaign follows: the plan chose its recipients."""
    held: tuple[Mapping[str, Any], ...]
    """Why nothing is sent until then: text, code and values; empty where sending goes on as it was approved."""


def pending_approval(shop: "Shop", saved: SavedVersion[Any], *, policy: Policy | None = None) -> PendingApproval | None:
    """What changed since a campaign or journey was approved, and what follows; None where it follows all there is.

    `policy` is one that is not in force yet.
    """
    approval = saved.approval()
    if approval is None or saved.state in {*IS_OVER, DRAFT, PLANNED}:
        return None
    kind = "journey" if isinstance(saved.content, Journey) else "campaign"
    today, terms = terms_today(shop, saved.content, policy=policy), terms_of(saved)
    parts = (kind, saved.name, saved.state)
    if terms is None:
        return PendingApproval(*parts, digest_of(today), (), (), (TERMS_UNKNOWN.plain(),))
    wanted = terms_to_approve(saved, today)
    changes, unplanned = changed_terms(terms, wanted), changed_terms(wanted, today)
    held = tuple(one.plain() for one in obstacles(shop, terms, policy))
    if not (changes or unplanned or held):
        return None
    return PendingApproval(*parts, digest_of(wanted), changes, unplanned, held)


def terms_to_approve(saved: SavedVersion[Any], today: Terms) -> Terms:
    """What an approval pins now: of a campaign that was approved the rules stay by which its plan chose recipients."""
    terms = terms_of(saved)
    if terms is None or saved.state == PLANNED or isinstance(saved.content, Journey):
        return today
    return {**today, "segments": terms["segments"]}


def pending_approvals(
    shop: "Shop", *, policy: Policy | None = None, sections: Sequence[str] = (), name: str = ""
) -> tuple[PendingApproval, ...]:
    """Approved campaigns and journeys that do not follow what changed since; perhaps only of some sections, and a name.

    `policy` is one that is not in force yet.
    """
    listed = (*CAMPAIGN.all_saved_in(shop.store), *JOURNEY.all_saved_in(shop.store))
    pending = (pending_approval(shop, saved, policy=policy) for saved in listed)
    return tuple(one for one in pending if one is not None and (not sections or _is_about(one, sections, name)))


def _is_about(pending: PendingApproval, sections: Sequence[str], name: str) -> bool:
    changes = (*pending.changes, *pending.unplanned)
    return any(change.section in sections and name in {"", change.name} for change in changes)
