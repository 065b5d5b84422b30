"""Pages of models: what is predicted, how well, and what changed.

`model_pages` has all of them; the others say in the reader's language what it shows:
`model_cards`, `training_texts`, `survival_texts`, `alarm_texts`, `fairness_texts`, `missing_forecast_texts`.
"""
