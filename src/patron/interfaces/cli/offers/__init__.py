"""The command line of offers: decisions, what became of them, and policy.

`decision_commands` is `patron decisions`, printed by `render_decisions`; `outbox_commands` is `patron outbox`.
`policy_commands` is `patron policy`, printed by `render_policy`.
"""
