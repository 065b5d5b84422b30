"""The API of the shop as a whole: Today, periods, retention, experiments, questions, the mail digest.

Routes: `insight_routes`, `question_routes`, `digest_routes`.
Shared with pages: `experiment_view`.
"""
