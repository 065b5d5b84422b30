"""What policy.toml promises about offers, and what counts against it.

Promises: `policy` as a whole, `offer_policy` (the catalogue), `offer_rules` (which offer helps against which reason);
`policy_changes` between two of them; changes that wait for a second person are rows of `proposal_tables`.
Counting: `budget_period`, `margin` of order lines, `withdrawals` of runs, which then count nowhere.
"""
