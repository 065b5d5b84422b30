"""Questions, metrics and reasons of models, declared once for every floor.

Questions: `questions` declares each once; `survival` how long customers stay.
How long a forecast waits for its answer: `label_windows`.
How well: `metrics`.
For whom: `group_metrics` compares groups, `standing_verdicts` says which verdicts stand.
Why: `reason_codes` of churn; `month_columns`, features that the season is learned from.
"""
