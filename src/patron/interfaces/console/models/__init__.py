"""Pages of models: what is predicted, how well, and what changed.

`model_pages` has what runs found, `season_pages` the season that people expect, with its form; the others say in the
reader's language what these show: `season_texts`, `model_cards`, `training_texts`, `survival_texts`, `alarm_texts`,
`fairness_texts`, `missing_forecast_texts`.
"""
