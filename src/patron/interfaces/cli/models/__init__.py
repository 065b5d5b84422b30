"""The command line of models: what was kept, how it did, learners compared.

`model_commands` is `patron models`, printed by `render_models`, `render_ledger` (forecasts against the actual)
and `render_season` (the one that people expect).
`compare_commands` is `patron compare`, printed by `render_comparison`.
"""
