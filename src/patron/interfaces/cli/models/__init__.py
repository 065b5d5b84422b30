"""The command line of models: what was kept, how it did, learners compared.

`model_commands` is `patron models`, printed by `render_models` and `render_ledger` (forecasts against the actual).
`compare_commands` is `patron compare`, printed by `render_comparison`.
"""
