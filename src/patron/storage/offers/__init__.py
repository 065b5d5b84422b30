"""What policy.toml promises about offers, and what counts against it.

Promises: `policy` as a whole, `offer_policy` (the catalogue), `fairness_policy`, `offer_rules` (which offer helps
against which reason for leaving); `policy_changes` between two of them; changes that wait for a second person are rows
of `proposal_tables`.
Counting: `offer_usage` of runs, campaigns and journeys together, with `budget_period` and `deliveries` of runs (rows of
`delivery_tables`): which of their offers hold caps, stocks and budget, and which were sent; `margin` of order lines.
"""
