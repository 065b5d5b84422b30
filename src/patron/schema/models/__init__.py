"""What everyone agrees on about models: questions, metrics, intervals, reasons.

Questions: `questions` declares each once; `survival` how long customers stay.
How well: `metrics`.
For whom: `group_metrics` compares groups, `standing_verdicts` says which verdicts stand.
Why: `reason_codes` of churn; `month_columns`, features that the season is learned from.
"""
