"""The command line of offers: decisions and policy.

`decision_commands` is `patron decisions`, printed by `render_decisions`.
`policy_commands` is `patron policy`, printed by `render_policy`.
"""
