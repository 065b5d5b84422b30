"""The API of models: backtests and drift, forecasts against the actual, scores in bulk.

`model_routes`, `score_routes`.
"""
