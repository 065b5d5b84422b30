"""A changed policy is in force only when another person approved it, and nothing that was written is lost."""

from datetime import UTC, datetime

import pytest

from patron.answers.access.audit_trail import AuditQuery, audit_trail
from patron.answers.offers.policy_history import policy_proposal, policy_text, proposal_texts
from patron.commands.offers.propose_policy import (
    approve_proposal,
    preview_proposal,
    propose_changes,
    propose_policy,
    propose_restore,
    reject_proposal,
    withdraw_proposal,
)
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadProposal, EditConflict
from patron.storage.toml_edit import set_values
from patron.storage.workspace.workspace_files import POLICY_FILE

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ADA, BO = "Ada (user a1)", "Bo (user b2)"
MORE = {("budget", "amount"): 2000.0}


def propose(shop, changes=MORE):
    return propose_changes(
        RequestContext.from_name(shop, ADA, now=NOW), changes, base_version=shop.policy.version, note="spring"
    )


def test_another_person_puts_it_in_force_and_it_can_be_undone(shop):
    before = policy_text(shop)
    number = propose(shop)
    assert shop.policy.budget.amount == 1000
    with pytest.raises(BadProposal, match="made the proposal and cannot approve it"):
        approve_proposal(RequestContext.from_name(shop, ADA, now=NOW), number)
    assert policy_text(shop) == before
    approve_proposal(RequestContext.from_name(shop, BO, now=NOW), number)
    assert shop.policy.budget.amount == 2000
    assert proposal_texts(shop, number).previous_content == before
    shown = policy_proposal(shop, number)
    assert [(change.section, change.key, change.old, change.new) for change in shown.changes] == [
        ("budget", "amount", 1000, 2000)
    ]
    assert (shown.state, shown.decided_by) == ("approved", BO)
    again = propose_restore(RequestContext.from_name(shop, ADA, now=NOW), number, is_before=True)
    approve_proposal(RequestContext.from_name(shop, BO, now=NOW), again)
    assert policy_text(shop) == before
    log = audit_trail(shop, AuditQuery(by="Bo"))
    assert [entry.action for entry in log.entries] == ["policy approved", "policy approved"]


def test_a_policy_that_was_edited_by_hand_meanwhile_is_not_overwritten(shop):
    number = propose(shop)
    by_hand = set_values(policy_text(shop), {("caps", "within_days"): 7})
    (shop.folder / POLICY_FILE).write_text(by_hand, encoding="utf-8")
    with pytest.raises(EditConflict, match="was changed since"):
        approve_proposal(RequestContext.from_name(shop, BO, now=NOW), number)
    assert policy_text(shop) == by_hand
    assert policy_proposal(shop, number).is_outdated
    with pytest.raises(EditConflict, match="was changed while you edited it"):
        propose_changes(RequestContext.from_name(shop, ADA, now=NOW), MORE, base_version="older")


def test_what_is_not_valid_or_changes_nothing_is_not_proposed(shop):
    with pytest.raises(BadProposal, match=r"holdout.share must be at most 0.9"):
        propose(shop, {("holdout", "share"): 1.5})
    with pytest.raises(BadProposal, match="is not valid TOML"):
        propose_policy(RequestContext.from_name(shop, ADA, now=NOW), "[budget")
    with pytest.raises(BadProposal, match="the same as the policy in force"):
        propose_policy(RequestContext.from_name(shop, ADA, now=NOW), "# a comment\n" + policy_text(shop))


def test_a_proposal_is_decided_once(shop):
    first, second = propose(shop), propose(shop, {("caps", "within_days"): 7})
    with pytest.raises(BadProposal, match="somebody else made"):
        withdraw_proposal(RequestContext.from_name(shop, BO, now=NOW), first)
    withdraw_proposal(RequestContext.from_name(shop, ADA, now=NOW), first)
    reject_proposal(RequestContext.from_name(shop, BO, now=NOW), second)
    for number in (first, second):
        with pytest.raises(BadProposal, match=r"is (withdrawn|rejected)"):
            approve_proposal(RequestContext.from_name(shop, BO, now=NOW), number)
    assert shop.policy.budget.amount == 1000


def test_a_preview_that_cannot_be_computed_says_why(shop):
    number = propose(shop)
    preview_proposal(shop, number, now=NOW)
    preview = policy_proposal(shop, number).preview
    assert preview is not None
    assert preview["state"] == "failed"
    assert preview["what"]
