"""What people order about offers: another policy, tried before it counts, and offers withdrawn.

Change: `propose_policy` leads a change from its proposal to the approval by another person.
Try: `check_policy` compares a file with the policy in force; `try_policy` judges it by `logged_policy_value` (past
decisions) and `dry_run_policy` (a simulated shop).
Deliver: `download_offers` takes a run's offers as a file, `confirm_offers` says that they were sent, and
`withdraw_offers` takes them back before they are.
"""
