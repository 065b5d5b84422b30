"""What people order about offers: another policy, tried before it counts, and offers withdrawn.

Change: `propose_policy` leads a change from its proposal to the approval by another person.
Try: `check_policy` compares a file with the policy in force; `try_policy` judges it by `logged_policy_value` (past
decisions) and `dry_run_policy` (a simulated shop).
Withdraw: `withdraw_offers` takes back the offers of a run before they are sent.
"""
