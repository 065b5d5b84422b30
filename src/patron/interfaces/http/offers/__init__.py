"""The API of offers: the decision ledger, and the policy with proposals to change it.

`decision_routes`, `policy_routes`.
"""
