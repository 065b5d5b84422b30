"""The policy in force as text, proposals to change it, and what was in force before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from patron.answers.offers.policy_in_force import READ_OFFERS
from patron.govern.access.operations import operation
from patron.schema.common_sentences import NO_PROPOSAL, OPEN_FROM_PROPOSALS
from patron.schema.errors import NotFound, SettingsError
from patron.schema.list_pages import MAX_COUNT
from patron.storage.models.model_decisions import utc
from patron.storage.offers.policy import Policy
from patron.storage.offers.policy_changes import PolicyChange, policy_changes
from patron.storage.offers.proposal_tables import POLICY_PROPOSALS
from patron.storage.outreach.pending_approvals import POLICY_SECTIONS, PendingApproval, pending_approvals
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import POLICY_FILE

PROPOSED, APPROVED = "proposed", "approved"

ProposalNumber = Annotated[int, Field(ge=1, le=MAX_COUNT)]


@dataclass(frozen=True)
class PolicyProposal:
    """One proposal, and what it changes."""

    proposal_id: int
    state: str
    """proposed, approved, rejected or withdrawn."""
    note: str
    proposed_at: datetime
    proposed_by: str
    decided_at: datetime | None
    decided_by: str
    version: str
    """Of the policy that is proposed."""
    changes: tuple[PolicyChange, ...]
    """Against the policy in force when it was approved; of one that was not, against the one in force now."""
    is_outdated: bool
    """Whether it is open, and policy.toml was changed since it was made."""
    preview: Mapping[str, Any] | None
    """What the next run would do with it; None before it was computed."""
    awaiting: tuple[PendingApproval, ...] = ()
    """Of one proposal: approved campaigns and journeys that go on without it until they are approved again."""


@dataclass(frozen=True)
class ProposalTexts:
    """A proposal as text."""

    content: str
    previous_content: str
    """policy.toml before it was approved; empty for one that was not."""


def policy_text(shop: Shop) -> str:
    """The text of policy.toml."""
    return (shop.folder / POLICY_FILE).read_text(encoding="utf-8")


@operation(READ_OFFERS, "GET /api/policy/proposals")
def policy_proposals(shop: Shop) -> tuple[PolicyProposal, ...]:
    """Every proposal, newest first, with what it changes."""
    with shop.store.begin() as connection:
        newest = sa.select(POLICY_PROPOSALS).order_by(POLICY_PROPOSALS.c.proposal_id.desc())
        rows = connection.execute(newest).mappings().all()
    return tuple(_proposal_of(shop, row) for row in rows)


def open_proposal_count(shop: Shop) -> int:
    """How many proposals wait for approval."""
    is_open = POLICY_PROPOSALS.c.state == PROPOSED
    with shop.store.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(POLICY_PROPOSALS).where(is_open)) or 0


@operation(READ_OFFERS, "GET /api/policy/proposals/{number}")
def policy_proposal(shop: Shop, number: ProposalNumber) -> PolicyProposal:
    """One proposal, and the approved campaigns and journeys that would go on without it."""
    row = _row(shop, number)
    policy = _read(row["content"]) if row["state"] == PROPOSED else None
    awaiting = pending_approvals(shop, policy=policy, sections=POLICY_SECTIONS)
    return replace(_proposal_of(shop, row), awaiting=awaiting if row["state"] in {PROPOSED, APPROVED} else ())


def proposal_texts(shop: Shop, number: int) -> ProposalTexts:
    """A proposal as text. Raises NotFound."""
    row = _row(shop, number)
    return ProposalTexts(row["content"], row["previous_content"])


def _row(shop: Shop, number: int) -> sa.RowMapping:
    chosen = sa.select(POLICY_PROPOSALS).where(POLICY_PROPOSALS.c.proposal_id == number)
    with shop.store.begin() as connection:
        row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(NO_PROPOSAL, where=str(number), todo=OPEN_FROM_PROPOSALS)
    return row


def _proposal_of(shop: Shop, row: sa.RowMapping) -> PolicyProposal:
    policy, before = _read(row["content"]), shop.policy
    if row["state"] == APPROVED:
        before = _read(row["previous_content"]) or before
    changes = policy_changes(before, policy) if policy else ()
    return PolicyProposal(
        row["proposal_id"],
        row["state"],
        note=row["note"],
        proposed_at=utc(row["proposed_at"]),
        proposed_by=row["proposed_by"],
        decided_at=utc(row["decided_at"]) if row["decided_at"] else None,
        decided_by=row["decided_by"],
        version=policy.version if policy else "",
        changes=changes,
        is_outdated=row["state"] == PROPOSED and row["base_version"] != shop.policy.version,
        preview=row["preview"],
    )


def _read(content: str) -> Policy | None:
    """A policy as it was written; None for one that this version of Patron does not read."""
    try:
        return Policy.parse(content)
    except SettingsError:
        return None
