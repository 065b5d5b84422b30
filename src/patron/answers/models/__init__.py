"""What people ask about models: what is predicted, how well, why, and for whom differently.

Overview: `models`, one entry a question; `model_versions` that were kept, and which one scores.
How well: `backtest_results` on the past, `forecast_ledger` (forecasts against the actual), `model_alarms` (drift).
For whom: `metrics_by_group`, `fairness`.
Why: `score_reasons`; for churn `churn_drivers` (the shop) and `churn_reasons` (one customer).
Season: `expected_season`, what people entered and what came of it.
How long: `survival`; `repeat_purchase`.
"""
