"""The API of the shop as a whole: Today, periods, retention, experiments, questions, the mail digest.

Routes: `overview_routes` (Today, overview, brief), `retention_routes`, `experiment_routes`, `question_routes`,
`digest_routes`; a period in an address is read by `period_parameters`.
Shared with pages: `retention_view`, `experiment_view`.
"""
