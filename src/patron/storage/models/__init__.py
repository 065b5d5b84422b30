"""Fitted models and their history: what is kept, what people decided, what a run could not answer.

Files: `model_registry` saves and loads them. History: `model_history`, `trainings`.
Decisions: `model_decisions` of people. Gaps: `missing_forecasts`.
Season: `season_tables` and `season_calendars`, as people entered them; `season_templates` to begin with.
"""
