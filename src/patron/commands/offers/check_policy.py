"""A policy file read and compared with the policy in force."""

from dataclasses import dataclass
from pathlib import Path

from patron.storage.offers.policy import Policy, policy_notice
from patron.storage.outreach.pending_approvals import POLICY_SECTIONS, PendingApproval, pending_approvals
from patron.storage.shop import Shop


@dataclass(frozen=True)
class CheckedPolicy:
    """A policy that can be used."""

    policy: Policy
    notice: str
    """How an older file is read, in a sentence; empty for a current one."""
    changed_sections: tuple[str, ...]
    """Sections that differ from the policy in force."""
    losing_offers: tuple[str, ...]
    """Offers whose discount takes all the margin."""
    awaiting: tuple[PendingApproval, ...]
    """Approved campaigns and journeys that would go on without it until they are approved again."""


def check_policy(shop: Shop, path: Path) -> CheckedPolicy:
    """Read a policy file and compare it with the policy in force. Raises SettingsError naming key, value and remedy."""
    policy = Policy.load(path)
    was, becomes = shop.policy.model_dump(), policy.model_dump()
    changed = tuple(name for name in becomes if becomes[name] != was[name])
    margin = shop.settings.shop.margin_share
    losing = tuple(offer.id for offer in policy.offers if offer.takes_all_margin(margin))
    awaiting = pending_approvals(shop, policy=policy, sections=POLICY_SECTIONS)
    return CheckedPolicy(policy, policy_notice(path), changed, losing, awaiting)
