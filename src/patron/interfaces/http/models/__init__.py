"""The API of models: scores in bulk, forecasts against the actual.

`score_routes`; `ledger_routes`, which pages through imports, too.
"""
