"""What people ask about offers: what was decided for whom, what it brought, and by which policy.

Decisions: `decision_ledger`, one by one with what else was possible; `offer_results`, what they cost and caused;
`offer_experiment`, the policy against its holdout at every run; `offer_deliveries`, which were sent.
Policy: `policy_in_force`; `policy_history` with the proposals to change it.
"""
